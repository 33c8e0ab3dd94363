# SPDX-License-Identifier: GPL-2.0-or-later
"""Records of builders: identity, last check-in and channels."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import pytest

from tests.contract import shapes
from tests.contract.support import assert_refused, new_name


@pytest.fixture
def other_host(admin: Any) -> Iterator[str]:
    """A builder that has never connected."""
    name = new_name("host")
    admin.addHost(name, ["x86_64", "aarch64"])
    yield name
    admin.disableHost(name)


def test_the_host_knows_itself(host: Any, host_name: str) -> None:
    host_id = host.host.getID()
    assert isinstance(host_id, int)
    info = host.host.getHost()
    assert set(info) == shapes.HOST
    assert (info["id"], info["name"]) == (host_id, host_name)
    assert info["user_id"] == host.getLoggedInUser()["id"]
    assert host.getLoggedInUser()["usertype"] == 1


def test_others_see_the_same(host: Any, anonymous: Any, host_name: str) -> None:
    info = host.host.getHost()
    assert anonymous.getHost(host_name) == info
    assert anonymous.getHost(info["id"]) == info
    assert "x86_64" in info["arches"].split()
    assert info["enabled"] is True
    assert isinstance(info["capacity"], float)


def test_missing_host(anonymous: Any) -> None:
    assert anonymous.getHost("contract-no-host") is None
    with assert_refused(1000, "Invalid hostInfo: contract-no-host"):
        anonymous.getHost("contract-no-host", strict=True)


def test_new_host(admin: Any, other_host: str) -> None:
    info = admin.getHost(other_host)
    assert set(info) == shapes.HOST
    assert (info["arches"], info["enabled"], info["ready"]) == ("x86_64 aarch64", True, False)
    assert (info["task_load"], info["update_ts"], info["comment"], info["description"]) == (
        0.0,
        None,
        None,
        None,
    )
    assert [channel["name"] for channel in admin.listChannels(other_host)] == ["default"]


def test_new_host_twice(admin: Any, other_host: str) -> None:
    with assert_refused(1000, f"host already exists: {other_host}"):
        admin.addHost(other_host, ["x86_64"])


def test_new_host_by_a_packager(packager: Any, packager_name: str) -> None:
    with assert_refused(1004, f"host permission required (logged in as {packager_name})"):
        packager.addHost(new_name("host"), ["x86_64"])


def test_disabled_host(admin: Any, other_host: str) -> None:
    assert admin.disableHost(other_host) is None
    assert admin.getHost(other_host)["enabled"] is False
    admin.enableHost(other_host)
    assert admin.getHost(other_host)["enabled"] is True


def test_host_in_a_channel(admin: Any, other_host: str) -> None:
    assert admin.addHostToChannel(other_host, "container-binary") is None
    assert "container-binary" in [channel["name"] for channel in admin.listChannels(other_host)]
    with assert_refused(1000, f"host {other_host} is already subscribed to the container-binary channel"):
        admin.addHostToChannel(other_host, "container-binary")


def test_host_in_a_missing_channel(admin: Any, other_host: str) -> None:
    with assert_refused(1000, "channel does not exist: contract-no-channel"):
        admin.addHostToChannel(other_host, "contract-no-channel")


def test_hosts_of_a_channel(anonymous: Any, host: Any, host_name: str, other_host: str) -> None:
    hosts = anonymous.listHosts(channelID="container-binary", enabled=True)
    names = [info["name"] for info in hosts]
    assert host_name in names
    assert other_host not in names
    assert all(set(info) == shapes.HOST for info in hosts)


def test_hosts_of_a_channel_by_its_id(anonymous: Any, host_name: str) -> None:
    channel = anonymous.getChannel("container-binary")["id"]
    assert host_name in [info["name"] for info in anonymous.listHosts(channelID=channel, enabled=True)]


def test_disabled_hosts_of_a_channel(admin: Any, anonymous: Any, host_name: str) -> None:
    channel = anonymous.getChannel("container-binary")["id"]
    admin.disableHost(host_name)
    listed = {info["name"]: info["enabled"] for info in anonymous.listHosts(channelID=channel)}
    admin.enableHost(host_name)
    assert listed[host_name] is False


def test_the_last_check_in_of_listed_hosts(anonymous: Any, host: Any, host_name: str) -> None:
    host.host.updateHost(0.0, False)
    (info,) = (each for each in anonymous.listHosts(enabled=True) if each["name"] == host_name)
    assert isinstance(info["update_ts"], float)
    # Koji stores the two times separately, and they may differ a little.
    assert abs(info["update_ts"] - anonymous.getLastHostUpdate(info["id"], ts=True)) < 60


def test_hosts_of_an_arch(anonymous: Any, host: Any, host_name: str, other_host: str) -> None:
    assert other_host in [info["name"] for info in anonymous.listHosts(arches=["aarch64"])]
    assert other_host not in [info["name"] for info in anonymous.listHosts(arches=["aarch"])]
    assert other_host not in [info["name"] for info in anonymous.listHosts(arches=["s390x"])]


def test_hosts_that_are_disabled(admin: Any, other_host: str) -> None:
    admin.disableHost(other_host)
    assert other_host in [info["name"] for info in admin.listHosts(enabled=False)]
    assert other_host not in [info["name"] for info in admin.listHosts(enabled=True)]


def test_hosts_of_a_user(host: Any, host_name: str) -> None:
    (info,) = host.listHosts(userID=host.getLoggedInUser()["id"])
    assert info["name"] == host_name


def test_channel(anonymous: Any) -> None:
    info = anonymous.getChannel("container-binary")
    assert set(info) == shapes.CHANNEL
    assert (info["name"], info["enabled"], info["comment"]) == ("container-binary", True, None)
    assert anonymous.getChannel(info["id"]) == info


def test_missing_channel(anonymous: Any) -> None:
    assert anonymous.getChannel("contract-no-channel") is None
    with assert_refused(1000, "query returned no rows"):
        anonymous.getChannel("contract-no-channel", strict=True)


def test_channels_of_a_host(anonymous: Any, host: Any, host_name: str) -> None:
    channels = anonymous.listChannels(host.host.getID())
    assert channels == anonymous.listChannels(host_name)
    assert anonymous.getChannel("container-binary") in channels


def test_all_channels(anonymous: Any) -> None:
    channels = anonymous.listChannels()
    assert {"default", "container-binary"} <= {channel["name"] for channel in channels}
    assert all(set(channel) == shapes.CHANNEL for channel in channels)


def test_check_in(host: Any) -> None:
    before = host.host.getHost()["update_ts"]
    assert host.host.updateHost(0.5, False, data={"maxjobs": 3, "methods": ["buildContainer"]}) is None
    info = host.host.getHost()
    assert (info["task_load"], info["ready"]) == (0.5, False)
    assert info["update_ts"] > before
    host.host.updateHost(0.0, False)


def test_check_in_with_wrong_data(host: Any) -> None:
    with assert_refused(1019, "Host data should be a dictionary"):
        host.host.updateHost(0.0, False, data="x")


def test_last_update(host: Any, anonymous: Any) -> None:
    host_id = host.host.getID()
    stamp = anonymous.getLastHostUpdate(host_id, ts=True)
    assert isinstance(stamp, float)
    assert isinstance(anonymous.getLastHostUpdate(host_id), str)
    host.host.updateHost(0.0, False)
    assert anonymous.getLastHostUpdate(host_id, ts=True) > stamp


def test_last_update_of_a_host_that_never_connected(admin: Any, other_host: str) -> None:
    assert admin.getLastHostUpdate(admin.getHost(other_host)["id"]) is None


def test_no_buildroots(admin: Any, other_host: str) -> None:
    assert admin.listBuildroots(hostID=admin.getHost(other_host)["id"], state=[0, 1, 2]) == []
