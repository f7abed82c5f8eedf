"""A Modbus server for tests, made with pymodbus: devices 1 and 2 of the model in manifests/devices.yaml.

    simulator.py tcp            listens on a free port of the loopback address, and says which one
    simulator.py rtu PATH       answers on a serial port

It says "listening", and ends when its standard input does.
"""

import asyncio
import sys

from pymodbus.datastore import ModbusDeviceContext, ModbusSequentialDataBlock, ModbusServerContext
from pymodbus.server import ModbusSerialServer, ModbusTcpServer


def device(number):
    # pymodbus counts from 1 inside.
    inputs = [0] * 300
    inputs[0:2] = [351, 65536 - 25]  # 35.1 and -2.5
    inputs[2:4] = [0, 0x44FA]  # 2000.0 as float32, registers swapped
    inputs[4:8] = [0, 0, 0x0001, number]  # 65536 + number
    holding = [0] * 300
    holding[100] = 400
    label = f"heat pump {number}".encode().ljust(16, b"\0")
    holding[200:208] = [int.from_bytes(label[at : at + 2], "big") for at in range(0, 16, 2)]
    discrete = [False] * 300
    discrete[5] = True

    def block(values):
        return ModbusSequentialDataBlock(1, values)

    return ModbusDeviceContext(di=block(discrete), co=block([False] * 300), hr=block(holding), ir=block(inputs))


async def main():
    context = ModbusServerContext(devices={number: device(number) for number in (1, 2)}, single=False)
    if sys.argv[1] == "tcp":
        server = ModbusTcpServer(context, address=("127.0.0.1", 0))
        assert await server.listen()
        print("listening", server.transport.sockets[0].getsockname()[1], flush=True)
    else:
        server = ModbusSerialServer(
            context, port=sys.argv[2], baudrate=19200, parity="N", stopbits=1, ignore_missing_devices=True
        )
        assert await server.listen()
        print("listening", flush=True)
    await asyncio.get_running_loop().run_in_executor(None, sys.stdin.read)
    await server.shutdown()


asyncio.run(main())
