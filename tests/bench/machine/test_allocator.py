import pytest

from loop_bench.machine import allocator

LINE = "7f00-7f10 r-xp 00000000 08:01 123    /usr/lib/x86_64-linux-gnu/{}\n"


@pytest.fixture
def found(tmp_path, monkeypatch):
    monkeypatch.setattr(allocator.platform, "libc_ver", lambda: ("glibc", "2.36"))

    def of(*libraries, **environ):
        (tmp_path / "maps").write_text("".join(map(LINE.format, libraries)))
        return allocator.allocator(tmp_path / "maps", environ)

    return of


@pytest.mark.parametrize(
    ("library", "name"),
    [
        ("libc.so.6", "glibc 2.36"),
        ("libjemalloc.so.2", "jemalloc"),
        ("libtcmalloc_minimal.so.4", "tcmalloc"),
        ("libmimalloc.so.2.1", "mimalloc"),
    ],
)
def test_what_is_mapped_is_what_is_used(found, library, name):
    assert found("libm.so.6", library).name == name


def test_only_its_settings_are_shown(found):
    said = found("libc.so.6", PATH="/bin", MALLOC_ARENA_MAX="1", GLIBC_TUNABLES="glibc.malloc.tcache_count=0")
    assert said.settings == {"GLIBC_TUNABLES": "glibc.malloc.tcache_count=0", "MALLOC_ARENA_MAX": "1"}


def test_a_library_that_was_to_be_loaded_and_is_not(found):
    preload = "/usr/lib/x86_64-linux-gnu/libjemalloc.so.2:/opt/libtcmalloc.so.4"
    assert found("libjemalloc.so.2", LD_PRELOAD=preload).not_loaded == ("/opt/libtcmalloc.so.4",)
    assert found("libc.so.6", LD_PRELOAD="").not_loaded == ()


def test_nothing_is_known_to_be_missing_where_maps_are_not_said(tmp_path, monkeypatch):
    monkeypatch.setattr(allocator.platform, "libc_ver", lambda: ("", ""))
    said = allocator.allocator(tmp_path / "none", {"LD_PRELOAD": "libjemalloc.so.2"})
    assert (said.name, said.not_loaded) == (None, ())
