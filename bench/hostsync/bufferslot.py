"""Seeing reads that go through the C buffer protocol, which no Python method takes part in.

`np.asarray(t)` asks the tensor's type for its buffer by the C slot `bf_getbuffer`: neither `t.numpy` nor
`t.__array__` is called. So while recording, a callback stands in that slot and passes every request on.
(https://docs.python.org/3/c-api/typeobj.html#buffer-object-structures)
"""

from __future__ import annotations

import _thread
import contextlib
import ctypes
import dis
import platform
import sys
import sysconfig
from collections.abc import Callable, Iterable
from typing import Any, NamedTuple

_BF_GETBUFFER = 1  # Py_bf_getbuffer, the slot's number in CPython's typeslots.h
_TP_AS_BUFFER = 160  # offset of PyTypeObject.tp_as_buffer on 64-bit builds of CPython 3.11 to 3.13
_VIEW_OBJ, _VIEW_LEN = 8, 16  # offsets in Py_buffer of obj and len; buf comes first
_WRITABLE = 1  # PyBUF_WRITABLE
_AFTER_AWAIT = 3

# Each step raises the signal of Ctrl-C. The interpreter looks for signals behind a call, and not behind such a step.
_interrupt = iter(_thread.interrupt_main, object())

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
            """What C calls: 0 when the request is granted, else -1.

            Python cannot let an exception out of here: the result would be undefined, and with a bad one C would use
            memory that is not there. So everything is inside a try, which is the first statement, and behind it is
            nothing at which the interpreter looks for signals: no call, no jump back.
            """
            try:
                owner: Any = None  # set by whoever grants the request
                if flags & _WRITABLE:
                    return -1  # tensors are read-only; NumPy asks for this first and then again without it
                owner = ctypes.c_void_p.from_address(view + _VIEW_OBJ)
                owner.value = None

                def read() -> Memory | None:
                    # bfloat16, say: the asker tries another way.
                    with contextlib.suppress(ValueError, TypeError, BufferError):
                        pass_on(exporter, view, flags)
                    if not owner:
                        return None
                    length = ctypes.c_ssize_t.from_address(view + _VIEW_LEN).value
                    return Memory(ctypes.c_void_p.from_address(view).value or 0, length)

                try:
                    listener(exporter, read)
                except KeyboardInterrupt:
                    raise
                except Exception as error:
                    if owner:  # not a listener that refuses, but one that is broken
                        sys.excepthook(type(error), error, error.__traceback__)
            except BaseException:
                for _ in _interrupt:  # a Ctrl-C must not be lost: whoever asked meets it once more
                    return -(not owner)
            return -(not owner)

        # Kept, for the slot does not hold a reference.
        self._callback = _GetBuffer(_entered_without_interruption(get_buffer))

    def install(self) -> None:
        """Puts the listener into the slot."""
        self._slot.value = ctypes.cast(self._callback, ctypes.c_void_p).value

    def restore(self) -> None:
        """Puts the slot's own function back."""
        self._slot.value = self._original


def _entered_without_interruption(function: Callable[..., int]) -> Callable[..., int]:
    """The function, whose first instruction does not look for signals that have arrived meanwhile.

    Where Python code begins to run, the interpreter handles a pending Ctrl-C, which is before any `try` of the function
    could catch it. Where a coroutine goes on after an `await` it does not, and one argument of the instruction RESUME
    tells the two apart (https://docs.python.org/3/library/dis.html#opcode-RESUME). Python 3.10 has no such instruction,
    and does not look where a function begins with a `try`.
    """
    if "RESUME" not in dis.opmap:
        return function
    code = bytearray(function.__code__.co_code)
    entry = next(at for at in range(0, len(code), 2) if code[at] == dis.opmap["RESUME"])
    code[entry + 1] = _AFTER_AWAIT
    function.__code__ = function.__code__.replace(co_code=bytes(code))
    return function
