"""Seeing reads that go through the C buffer protocol, which no Python method takes part in.

`np.asarray(t)` asks the tensor's type for its buffer by the C slot `bf_getbuffer`: neither `t.numpy` nor
`t.__array__` is called. So while recording, a callback stands in that slot and passes every request on.
(https://docs.python.org/3/c-api/typeobj.html#buffer-object-structures)
"""

from __future__ import annotations

import _thread
import contextlib
import ctypes
import platform
import sys
import sysconfig
from collections.abc import Callable, Iterable
from typing import Any, NamedTuple

_BF_GETBUFFER = 1  # Py_bf_getbuffer, the slot's number in CPython's typeslots.h
_TP_AS_BUFFER = 160  # offset of PyTypeObject.tp_as_buffer on 64-bit builds of CPython 3.11 to 3.13
_VIEW_OBJ, _VIEW_LEN = 8, 16  # offsets in Py_buffer of obj and len; buf comes first
_WRITABLE = 1  # PyBUF_WRITABLE

_GetBuffer = ctypes.PYFUNCTYPE(ctypes.c_int, ctypes.py_object, ctypes.c_void_p, ctypes.c_int)


class Memory(NamedTuple):
    """What a granted request points to."""

    address: int
    nbytes: int

    def objects(self) -> Iterable[Any]:
        """The objects in it, where it holds pointers to such."""
        return (ctypes.py_object * (self.nbytes // ctypes.sizeof(ctypes.py_object))).from_address(self.address)


class BufferSlot:
    """The slot `bf_getbuffer` of a type, with a listener in it while installed.

    Args:
        kind: the type.
        listener: called as listener(object, read) for each request of a buffer to read. It calls read(), which
            carries the request out and gives the memory if it was granted; or it raises, and it is refused. The
            asker sees only that there is no buffer: no exception passes the callback.

    Raises:
        RuntimeError: this build of Python keeps the slot somewhere else.
    """

    def __init__(self, kind: type, listener: Callable[[Any, Callable[[], Memory | None]], object]) -> None:
        if platform.python_implementation() != "CPython" or sysconfig.get_config_var("Py_GIL_DISABLED"):
            raise RuntimeError("where this build of Python keeps its buffer slots is not known")
        as_buffer = ctypes.c_void_p.from_address(id(kind) + _TP_AS_BUFFER).value
        get_slot = ctypes.pythonapi.PyType_GetSlot
        get_slot.restype, get_slot.argtypes = ctypes.c_void_p, [ctypes.py_object, ctypes.c_int]
        self._original = get_slot(kind, _BF_GETBUFFER)
        if not as_buffer or not self._original:
            raise RuntimeError(f"{kind.__name__} does not offer the buffer protocol in this build of Python")
        self._slot = ctypes.c_void_p.from_address(as_buffer)  # bf_getbuffer is the first member
        if self._slot.value != self._original:
            raise RuntimeError("this build of Python keeps its buffer slots somewhere else")
        pass_on = _GetBuffer(self._original)

        def get_buffer(exporter: Any, view: int, flags: int) -> int:
            """What C calls: 0 when the request is granted, else -1."""
            if flags & _WRITABLE:
                return -1  # tensors are read-only; NumPy asks for this first and then again without it
            owner = ctypes.c_void_p.from_address(view + _VIEW_OBJ)  # set by whoever grants the request
            owner.value = None

            def granted() -> bool:
                return owner.value is not None

            def read() -> Memory | None:
                # bfloat16, say: the asker tries another way.
                with contextlib.suppress(ValueError, TypeError, BufferError):
                    pass_on(exporter, view, flags)
                if not granted():
                    return None
                length = ctypes.c_ssize_t.from_address(view + _VIEW_LEN).value
                return Memory(ctypes.c_void_p.from_address(view).value or 0, length)

            try:
                listener(exporter, read)
            except KeyboardInterrupt:
                _come_again()
            except Exception as error:
                if granted():  # not a listener that refuses, but one that is broken
                    sys.excepthook(type(error), error, error.__traceback__)
            return 0 if granted() else -1

        self._called = get_buffer
        self._callback = _GetBuffer(get_buffer)  # kept, for the slot does not hold a reference
        self._hook: Callable[[Any], Any] = sys.unraisablehook

    def install(self) -> None:
        """Puts the listener into the slot."""
        self._hook = sys.unraisablehook
        sys.unraisablehook = self._on_unraisable
        self._slot.value = ctypes.cast(self._callback, ctypes.c_void_p).value

    def restore(self) -> None:
        """Puts the slot's own function back."""
        self._slot.value = self._original
        if sys.unraisablehook == self._on_unraisable:  # nobody has put another one over it
            sys.unraisablehook = self._hook

    def _on_unraisable(self, unraisable: Any) -> None:
        """A Ctrl-C that waited for Python to run again is met at the callback's entry, before it can catch it."""
        if unraisable.object is self._called and unraisable.exc_type is KeyboardInterrupt:
            _come_again()
        else:
            self._hook(unraisable)


def _come_again() -> None:
    """Has a Ctrl-C come once more: no exception goes further than the callback, and this one must not be lost."""
    _thread.start_new_thread(_thread.interrupt_main, ())
