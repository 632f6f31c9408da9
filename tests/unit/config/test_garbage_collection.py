"""The garbage collector is paused while libraries are loaded, and only then."""

import gc
import weakref

import pytest

from tasks.config.garbage_collection import paused_collection


def test_collection_is_paused_in_the_block_only():
    with paused_collection():
        assert not gc.isenabled()
    assert gc.isenabled()


def test_collection_continues_after_an_error():
    with pytest.raises(ImportError), paused_collection():
        raise ImportError
    assert gc.isenabled()


def test_collection_stays_disabled_if_it_was():
    gc.disable()
    try:
        with paused_collection():
            pass
        assert not gc.isenabled()
    finally:
        gc.enable()


def test_what_is_loaded_is_left_out_of_later_collections():
    with paused_collection():
        pass
    assert gc.get_freeze_count() > 0
    gc.unfreeze()


class Cycle:
    """An object that only the garbage collector can free."""

    def __init__(self) -> None:
        self.itself = self


def test_objects_of_the_user_are_still_collected():
    with paused_collection(freeze=False):
        reference = weakref.ref(Cycle())
    gc.collect()
    assert reference() is None
