# The virtual mapper:
#   docker build -f build/docker/virtual-mapper.Dockerfile -t skerry/virtual-mapper:v0.1.0 target/package/bin
# EdgeCore's socket (/etc/kubeedge/dmi.sock) is mounted into it, and it is in the group of the socket.
FROM scratch
COPY virtual-mapper /usr/local/bin/virtual-mapper
USER 65532:65532
ENTRYPOINT ["/usr/local/bin/virtual-mapper"]
