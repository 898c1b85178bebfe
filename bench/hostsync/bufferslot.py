"""Intercepts reads through the C buffer protocol, which call no Python method.

`np.asarray(t)` asks the tensor's type for its buffer by the C slot `bf_getbuffer`: neither `t.numpy` nor
`t.__array__` is called. While recording, a callback replaces that slot and forwards every request.
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

# Each step of this iterator raises the signal of Ctrl-C. The interpreter checks for signals after a call, but not after
# a step of an iterator.
_interrupt = iter(_thread.interrupt_main, object())

_GetBuffer = ctypes.PYFUNCTYPE(ctypes.c_int, ctypes.py_object, ctypes.c_void_p, ctypes.c_int)


class Memory(NamedTuple):
    """Memory that a granted request points to."""

    address: int
    nbytes: int

    def objects(self) -> Iterable[Any]:
        """The Python objects that this memory points to, if it holds pointers."""
        return (ctypes.py_object * (self.nbytes // ctypes.sizeof(ctypes.py_object))).from_address(self.address)


class BufferSlot:
    """The slot `bf_getbuffer` of a type, with a listener in it while installed.

    Args:
        kind: the type.
        listener: called as listener(object, read) for each request of a readable buffer. It calls read(), which
            performs the request and returns the memory if it was granted; or it raises, which refuses the request.
            The requester sees only that there is no buffer, because no exception passes the callback.

    Raises:
        RuntimeError: this build of Python keeps the slot somewhere else.
    """

    def __init__(self, kind: type, listener: Callable[[Any, Callable[[], Memory | None]], object]) -> None:
        if platform.python_implementation() != "CPython" or sysconfig.get_config_var("Py_GIL_DISABLED"):
            raise RuntimeError("this build of Python keeps its buffer slots at an unknown place")
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
            """The function that C calls: 0 if the request is granted, else -1.

            An exception must not leave this function: its result would be undefined, and C could use invalid memory.
            So everything is inside a try, which is the first statement, and nothing follows it at which the
            interpreter checks for signals: no call and no backward jump.
            """
            try:
                owner: Any = None  # set when the request is granted
                if flags & _WRITABLE:
                    return -1  # tensors are read-only; NumPy first asks for a writable buffer, then without
                owner = ctypes.c_void_p.from_address(view + _VIEW_OBJ)
                owner.value = None

                def read() -> Memory | None:
                    # A dtype without a buffer, such as bfloat16: the requester tries another way.
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
                    if owner:  # granted already: the listener did not refuse, it failed
                        sys.excepthook(type(error), error, error.__traceback__)
            except BaseException:
                for _ in _interrupt:  # a Ctrl-C must not be lost: raise it again in the requester
                    return -(not owner)
            return -(not owner)

        # Kept alive here, because the slot does not hold a reference.
        self._callback = _GetBuffer(_entered_without_interruption(get_buffer))

    def install(self) -> None:
        """Puts the listener into the slot."""
        self._slot.value = ctypes.cast(self._callback, ctypes.c_void_p).value

    def restore(self) -> None:
        """Restores the slot's own function."""
        self._slot.value = self._original


def _entered_without_interruption(function: Callable[..., int]) -> Callable[..., int]:
    """Changes a function so that the interpreter does not handle pending signals when it enters the function.

    At a function's entry the interpreter handles a pending Ctrl-C, before any `try` of the function can catch it. It
    does not where a coroutine resumes after an `await`, and an argument of the instruction RESUME distinguishes the
    two (https://docs.python.org/3/library/dis.html#opcode-RESUME). Python 3.10 has no such instruction, and does not
    check for signals at the entry of a function that begins with a `try`.
    """
    if "RESUME" not in dis.opmap:
        return function
    code = bytearray(function.__code__.co_code)
    entry = next(offset for offset in range(0, len(code), 2) if code[offset] == dis.opmap["RESUME"])
    code[entry + 1] = _AFTER_AWAIT
    function.__code__ = function.__code__.replace(co_code=bytes(code))
    return function
