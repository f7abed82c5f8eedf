# CloudCore and nothing else. From the root of a checkout, after `make package`:
#   docker build -f build/docker/cloudcore.Dockerfile -t skerry/cloudcore:v0.1.0 target/package/bin
# The binary is linked statically, so there is neither a shell nor a libc in the image; it runs as nobody, with a file system
# that it cannot write to.
FROM scratch
COPY cloudcore /usr/local/bin/cloudcore
USER 65532:65532
EXPOSE 10000/tcp 10001/udp 10002/tcp
ENTRYPOINT ["/usr/local/bin/cloudcore"]
