# SPDX-License-Identifier: GPL-2.0-or-later
"""qmp.py SOCKET add|remove FILE SERIAL: plugs a disk behind the host tool's back, for what the host tool itself refuses."""

import json
import socket
import sys


def main(path, action, file, serial):
    wire = socket.socket(socket.AF_UNIX)
    wire.connect(path)
    lines = wire.makefile("r")
    lines.readline()

    def execute(command, **arguments):
        wire.sendall(json.dumps({"execute": command, "arguments": arguments}).encode() + b"\n")
        while True:
            message = json.loads(lines.readline())
            if "error" in message:
                sys.exit(str(message["error"]))
            if "return" in message:
                return message["return"]

    execute("qmp_capabilities")
    node = f"extra-{serial}"
    if action == "add":
        execute("blockdev-add", **{"driver": "raw", "node-name": node, "read-only": True, "file": {"driver": "file", "filename": file, "read-only": True}})
        taken = {device["qdev_id"] for bus in execute("query-pci") for device in bus["devices"]}
        port = None
        for bus in execute("query-pci"):
            for device in bus["devices"]:
                bridge = device.get("pci_bridge")
                if bridge and device["qdev_id"] and not bridge.get("devices"):
                    port = device["qdev_id"]
        assert port, taken
        execute("device_add", driver="virtio-blk-pci", id=node, drive=node, serial=serial, bus=port)
    else:
        execute("device_del", id=node)
        while True:
            message = json.loads(lines.readline())
            if message.get("event") == "DEVICE_DELETED" and message["data"].get("device") == node:
                break
        execute("blockdev-del", **{"node-name": node})


if __name__ == "__main__":
    main(*sys.argv[1:])
