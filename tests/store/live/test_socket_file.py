"""A socket for one user alone: where it may lie, and what is found in its place."""

from __future__ import annotations

import os
import socket
import stat
import threading
from collections.abc import Iterator
from pathlib import Path

import pytest

from store.files.errors import MonosemError
from store.live import socket_file
from store.live.socket_file import Listening, connect, is_ours, peer_of


@pytest.fixture
def place(tmp_path: Path) -> Path:
    folder = tmp_path / "own"
    folder.mkdir(mode=0o700)
    return folder / "s"


@pytest.fixture
def listening(place: Path) -> Iterator[Listening]:
    found = Listening(place)
    yield found
    found.close()


def mode(path: Path) -> int:
    return stat.S_IMODE(path.stat().st_mode)


def test_it_is_ours_alone_and_says_who_is_there(tmp_path: Path) -> None:
    old = os.umask(0)
    try:
        listening = Listening(tmp_path / "new" / "s")
    finally:
        os.umask(old)
    assert (mode(listening.path), mode(listening.path.parent)) == (0o600, 0o700)
    connection = connect(listening.path)
    taken, _ = listening.socket.accept()
    for end in (connection, taken):
        assert is_ours(end)
        peer = peer_of(end)
        assert peer is None or peer == (os.getpid(), os.geteuid())
        end.close()
    listening.close()
    assert not listening.path.exists()


def test_a_folder_that_others_can_enter_is_refused(place: Path, listening: Listening) -> None:
    place.parent.chmod(0o750)
    for wrong in (lambda: Listening(place), lambda: connect(place)):
        with pytest.raises(MonosemError, match="open to others"):
            wrong()
    place.parent.chmod(0o700)


def test_a_second_server_is_told_of_the_first(place: Path, listening: Listening) -> None:
    with pytest.raises(MonosemError, match="serves there already") as caught:
        Listening(place)
    assert str(os.getpid()) in caught.value.what or not hasattr(socket, "SO_PEERCRED")
    connect(place).close()  # and the first one goes on


def test_a_socket_whose_server_is_no_more_is_replaced(place: Path) -> None:
    dead = Listening(place)
    dead.socket.close()
    assert place.exists()
    with pytest.raises(MonosemError, match="no server listens there any more"):
        connect(place)
    living = Listening(place)
    connect(place).close()
    dead.close()  # late, and not its own any more
    connect(place).close()
    living.close()


def test_of_many_who_begin_at_once_one_serves(place: Path) -> None:
    Listening(place).socket.close()  # a stale one, which each of them would replace
    found: list[Listening | MonosemError] = []
    barrier = threading.Barrier(8)

    def begin() -> None:
        barrier.wait()
        try:
            found.append(Listening(place))
        except MonosemError as error:
            found.append(error)

    threads = [threading.Thread(target=begin) for _ in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    (serving,) = (one for one in found if isinstance(one, Listening))
    connect(place).close()
    serving.close()


def test_what_is_no_socket_stays(place: Path) -> None:
    place.write_text("mine")
    with pytest.raises(MonosemError, match="no socket"):
        Listening(place)
    assert place.read_text() == "mine"


@pytest.mark.parametrize("name", ["x" * 101, "é" * 60])
def test_a_path_too_long_for_a_socket_says_so(place: Path, name: str) -> None:
    with pytest.raises(MonosemError, match="too long for a socket"):
        Listening(place.with_name(name))


def test_nothing_there(place: Path) -> None:
    with pytest.raises(MonosemError, match="there is no socket"):
        connect(place)


def test_another_users_process_is_not_talked_to(
    place: Path, listening: Listening, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(socket_file, "peer_of", lambda _: socket_file.Peer(7, os.geteuid() + 1))
    with pytest.raises(MonosemError, match="another user"):
        connect(place)
