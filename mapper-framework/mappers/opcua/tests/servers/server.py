"""An OPC UA server for tests, made with asyncua: the boiler of manifests/devices.yaml.

    server.py FOLDER [open|secure]

FOLDER gets certificates and keys for both sides. "open" offers no security, "secure" nothing else. It says "listening PORT", then it
answers each line of its standard input with one line, and ends when that ends:

    set NAME VALUE      the value of a node
    reads               how many values of nodes of the plant clients have read since the last time
    bad                 the temperature is bad from now on
"""

import asyncio
import datetime
import ipaddress
import json
import sys
from pathlib import Path

from asyncua import Server, ua
from asyncua.common.callback import CallbackType
from asyncua.crypto.permission_rules import User, UserRole
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import rsa
from cryptography.x509.oid import ExtendedKeyUsageOID, NameOID

NAMESPACE = "urn:skerry:plant"


def certificate(folder, name, uri):
    key = rsa.generate_private_key(public_exponent=65537, key_size=2048)
    subject = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, name)])
    now = datetime.datetime.now(datetime.timezone.utc)
    usage = x509.KeyUsage(True, True, True, True, False, True, False, False, False)
    names = [x509.UniformResourceIdentifier(uri), x509.IPAddress(ipaddress.ip_address("127.0.0.1"))]
    built = (
        x509.CertificateBuilder()
        .subject_name(subject)
        .issuer_name(subject)
        .public_key(key.public_key())
        .serial_number(x509.random_serial_number())
        .not_valid_before(now - datetime.timedelta(days=1))
        .not_valid_after(now + datetime.timedelta(days=1))
        .add_extension(x509.SubjectAlternativeName(names), critical=False)
        .add_extension(usage, critical=False)
        .add_extension(
            x509.ExtendedKeyUsage([ExtendedKeyUsageOID.CLIENT_AUTH, ExtendedKeyUsageOID.SERVER_AUTH]), critical=False
        )
        .sign(key, hashes.SHA256())
    )
    (folder / f"{name}.pem").write_bytes(built.public_bytes(serialization.Encoding.PEM))
    (folder / f"{name}-key.pem").write_bytes(
        key.private_bytes(
            serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption()
        )
    )


class Users:
    """Anonymous ones may in, and one who knows the password."""

    def get_user(self, iserver, username=None, password=None, certificate=None):
        if username is None or (username, password) == ("operator", "valve 7"):
            return User(role=UserRole.User)
        return None


async def main():
    folder, security = Path(sys.argv[1]), sys.argv[2]
    server = Server(user_manager=Users())
    await server.init()
    server.set_endpoint("opc.tcp://127.0.0.1:0/plant")
    if security == "secure":
        certificate(folder, "server", "urn:skerry:plant:server")
        certificate(folder, "other", "urn:skerry:other")
        certificate(folder, "client", "urn:skerry:opcua-mapper:test")
        await server.set_application_uri("urn:skerry:plant:server")
        await server.load_certificate(str(folder / "server.pem"))
        await server.load_private_key(str(folder / "server-key.pem"))
        server.set_security_policy([ua.SecurityPolicyType.Basic256Sha256_SignAndEncrypt])
    else:
        server.set_security_policy([ua.SecurityPolicyType.NoSecurity])
    index = await server.register_namespace(NAMESPACE)
    plant = await server.nodes.objects.add_object(index, "Plant")
    kinds = ua.VariantType
    nodes, types = {}, {"Starts": kinds.Int64}
    for name, value, kind, is_writable in [
        ("Temperature", 21.5, kinds.Double, False),
        ("SetPoint", 40.0, kinds.Float, True),
        ("Running", False, kinds.Boolean, True),
        ("Label", "boiler 1", kinds.String, True),
        ("Burners", [1.0, 2.0, 3.0], kinds.Double, True),
        ("Word", 7, kinds.UInt16, True),
        ("Big", 2**63, kinds.UInt64, True),
        ("Raw", b"\x01\x02", kinds.ByteString, True),
        ("Empty", None, kinds.Int32, True),
    ]:
        variant = ua.Variant() if value is None else ua.Variant(value, kind)
        node = await plant.add_variable(ua.NodeId(name, index), name, variant, datatype=ua.NodeId(kind.value))
        if is_writable:
            await node.set_writable()
        nodes[name], types[name] = node, kind
    nodes["Starts"] = await plant.add_variable(ua.NodeId(1005, index), "Starts", 3, kinds.Int64)
    reads = 0

    def read(event, dispatcher):
        nonlocal reads
        wanted = event.request_params.NodesToRead
        reads += sum(one.NodeId.NamespaceIndex == index and one.AttributeId == ua.AttributeIds.Value for one in wanted)

    server.subscribe_server_callback(CallbackType.PreRead, read)
    async with server:
        print("listening", server.bserver.port, flush=True)
        while line := await asyncio.get_running_loop().run_in_executor(None, sys.stdin.readline):
            match line.split(maxsplit=2):
                case ["set", name, value]:
                    await nodes[name].write_value(ua.Variant(json.loads(value), types[name]))
                    print("set", flush=True)
                case ["bad"]:
                    bad = ua.DataValue(StatusCode=ua.StatusCode(ua.StatusCodes.BadSensorFailure))
                    await nodes["Temperature"].write_value(bad)
                    print("bad", flush=True)
                case ["reads"]:
                    print(reads, flush=True)
                    reads = 0


asyncio.run(main())
