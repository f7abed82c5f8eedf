# EdgeCore and keadm as files, for nodes that are installed and upgraded from an image (KubeEdge's installation-package):
#   docker build -f build/docker/installation-package.Dockerfile -t skerry/installation-package:v0.1.0 target/package/bin
# It is copied from and never run.
FROM scratch
COPY edgecore keadm /usr/local/bin/
