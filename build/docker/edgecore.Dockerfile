# EdgeCore as a container, for machines whose root file system is not to be written to:
#   docker build -f build/docker/edgecore.Dockerfile -t skerry/edgecore:v0.1.0 target/package/bin
# It does to the machine what it does without a container, so it has to be let:
#   docker run --privileged --network host --pid host --cgroupns host \
#     -v /etc/kubeedge:/etc/kubeedge -v /var/lib/kubeedge:/var/lib/kubeedge -v /run/containerd:/run/containerd \
#     -v /var/lib/kubelet:/var/lib/kubelet:rshared -v /var/log/pods:/var/log/pods skerry/edgecore:v0.1.0
FROM scratch
COPY edgecore /usr/local/bin/edgecore
ENTRYPOINT ["/usr/local/bin/edgecore"]
