# SPDX-License-Identifier: GPL-2.0-or-later
"""QEMU's monitor, behind the host tool's back, for what the host tool itself refuses.

qmp.py SOCKET add|remove FILE SERIAL: plugs a disk."""

import json
import socket
import sys


class Qmp:
    """Held for short: QEMU serves one connection at a time, and the host tool needs it too."""

    def __init__(self, path):
        self.socket = socket.socket(socket.AF_UNIX)
        self.socket.settimeout(60)
        self.socket.connect(str(path))
        self.lines = self.socket.makefile("r")
        self.lines.readline()
        self.execute("qmp_capabilities")

    def execute(self, command, **arguments):
        self.socket.sendall(json.dumps({"execute": command, "arguments": arguments}).encode() + b"\n")
        while True:
            message = json.loads(self.lines.readline())
            if "error" in message:
                raise RuntimeError(str(message["error"]))
            if "return" in message:
                return message["return"]

    def add_node(self, name, file):
        self.execute("blockdev-add", **{"driver": "raw", "node-name": name, "read-only": True, "file": {"driver": "file", "filename": str(file), "read-only": True}})

    def remove(self, device, node):
        self.execute("device_del", id=device)
        while True:
            message = json.loads(self.lines.readline())
            if message.get("event") == "DEVICE_DELETED" and message["data"].get("device") == device:
                break
        self.execute("blockdev-del", **{"node-name": node})

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.lines.close()
        self.socket.close()


def main(path, action, file, serial):
    node = f"extra-{serial}"
    with Qmp(path) as qmp:
        if action != "add":
            qmp.remove(node, node)
            return
        qmp.add_node(node, file)
        port = None
        for bus in qmp.execute("query-pci"):
            for device in bus["devices"]:
                bridge = device.get("pci_bridge")
                if bridge and device["qdev_id"] and not bridge.get("devices"):
                    port = device["qdev_id"]
        assert port
        qmp.execute("device_add", driver="virtio-blk-pci", id=node, drive=node, serial=serial, bus=port)


if __name__ == "__main__":
    main(*sys.argv[1:])
