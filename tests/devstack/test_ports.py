"""Free ports: what two services are given never collides, and what somebody uses is never given."""

from __future__ import annotations

import socket

import pytest

from devstack.ports import LOOPBACK, free_ports


def test_all_ports_are_different_and_can_be_listened_on() -> None:
    ports = free_ports(20)
    assert len(set(ports)) == 20
    for port in ports:
        with socket.create_server((LOOPBACK, port)):
            pass


def test_a_port_in_use_is_not_given() -> None:
    first = free_ports(1)[0]
    with socket.create_server((LOOPBACK, first)):
        assert first not in free_ports(5, first=first, last=first + 20)


def test_a_port_that_listens_on_every_interface_is_not_given() -> None:
    first = free_ports(1)[0]
    with socket.create_server(("", first)):
        assert first not in free_ports(5, first=first, last=first + 20)


def test_too_few_free_ports_are_an_error_that_says_how_many_there_are() -> None:
    (port,) = free_ports(1)
    with (
        socket.create_server((LOOPBACK, port)),
        pytest.raises(OSError, match=rf"only 0 of 1 ports are free between {port} and {port}"),
    ):
        free_ports(1, first=port, last=port)
