"""Seeing reads that go through the C buffer protocol, which no Python method takes part in.

`np.asarray(t)` asks the tensor's type for its buffer by the C slot `bf_getbuffer`: neither `t.numpy` nor
`t.__array__` is called. So while recording, a callback stands in that slot and passes every request on.
(https://docs.python.org/3/c-api/typeobj.html#buffer-object-structures)
"""

from __future__ import annotations

import ctypes
from collections.abc import Callable
from typing import Any

_BF_GETBUFFER = 1  # Py_bf_getbuffer, the slot's number in CPython's typeslots.h
_TP_AS_BUFFER = 160  # offset of PyTypeObject.tp_as_buffer on 64-bit builds of CPython 3.11 to 3.13
_WRITABLE = 1  # PyBUF_WRITABLE

_GetBuffer = ctypes.PYFUNCTYPE(ctypes.c_int, ctypes.c_void_p, ctypes.c_void_p, ctypes.c_int)


class BufferSlot:
    """The slot `bf_getbuffer` of a type, with a listener in it while installed.

    Args:
        kind: the type.
        listener: called as listener(object, read) for each request of a buffer to read; it must call read(),
            which carries the request out and says whether it was granted.

    Raises:
        RuntimeError: this build of Python keeps the slot somewhere else.
    """

    def __init__(self, kind: type, listener: Callable[[Any, Callable[[], bool]], bool]) -> None:
        as_buffer = ctypes.c_void_p.from_address(id(kind) + _TP_AS_BUFFER).value
        get_slot = ctypes.pythonapi.PyType_GetSlot
        get_slot.restype, get_slot.argtypes = ctypes.c_void_p, [ctypes.py_object, ctypes.c_int]
        self._original = get_slot(kind, _BF_GETBUFFER)
        if not as_buffer or not self._original:
            raise RuntimeError(f"{kind.__name__} does not offer the buffer protocol in this build of Python")
        self._slot = ctypes.c_void_p.from_address(as_buffer)  # bf_getbuffer is the first member
        if self._slot.value != self._original:
            raise RuntimeError("this build of Python keeps its buffer slots somewhere else; reads would be missed")
        pass_on = _GetBuffer(self._original)

        def get_buffer(address: int, view: int, flags: int) -> int:
            """What C calls: 0 when the request is granted, else -1."""
            if flags & _WRITABLE:
                return -1  # tensors are read-only; NumPy asks for this first and then again without it

            def read() -> bool:
                try:
                    return bool(pass_on(address, view, flags) == 0)
                except BaseException:  # a type without a buffer, such as bfloat16: the asker tries another way
                    return False

            return 0 if listener(ctypes.cast(address, ctypes.py_object).value, read) else -1

        self._callback = _GetBuffer(get_buffer)  # kept, for the slot does not hold a reference

    def install(self) -> None:
        """Puts the listener into the slot."""
        self._slot.value = ctypes.cast(self._callback, ctypes.c_void_p).value

    def restore(self) -> None:
        """Puts the slot's own function back."""
        self._slot.value = self._original
