//! CRI's runtime service: each call does its part on the fake's world.

use std::future::Future;
use std::pin::Pin;
use std::time::Duration;

use futures::stream::{BoxStream, StreamExt};
use k8s_cri::v1 as cri;
use k8s_cri::v1::runtime_service_server::RuntimeService;
use tokio_stream::wrappers::WatchStream;
use tonic::{Request, Response, Status};

use super::FakeRuntime;

/// What this runtime makes sandboxes of.
const SANDBOX_IMAGE: &str = "fake/pause:1";

type Answer<T> = Result<Response<T>, Status>;

/// Calls that edged does not make yet.
macro_rules! not_implemented {
    ($($call:ident($request:ident) -> $response:ident;)*) => {$(
        fn $call<'life0, 'async_trait>(
            &'life0 self,
            _request: Request<cri::$request>,
        ) -> Pin<Box<dyn Future<Output = Answer<cri::$response>> + Send + 'async_trait>>
        where
            'life0: 'async_trait,
            Self: 'async_trait,
        {
            Box::pin(std::future::ready(Err(Status::unimplemented(stringify!($call)))))
        }
    )*};
}

#[tonic::async_trait]
impl RuntimeService for FakeRuntime {
    type GetContainerEventsStream = BoxStream<'static, Result<cri::ContainerEventResponse, Status>>;

    async fn version(&self, _request: Request<cri::VersionRequest>) -> Answer<cri::VersionResponse> {
        self.enter("Version").await?;
        Ok(Response::new(cri::VersionResponse {
            version: "0.1.0".to_owned(),
            runtime_name: "fake".to_owned(),
            runtime_version: "1.0".to_owned(),
            runtime_api_version: "v1".to_owned(),
        }))
    }

    async fn status(&self, _request: Request<cri::StatusRequest>) -> Answer<cri::StatusResponse> {
        self.enter("Status").await?;
        let ready = |kind: &str| cri::RuntimeCondition {
            r#type: kind.to_owned(),
            status: true,
            ..cri::RuntimeCondition::default()
        };
        let network_problem = self.world().network_problem.clone();
        let network = match network_problem {
            None => ready("NetworkReady"),
            Some(message) => cri::RuntimeCondition {
                r#type: "NetworkReady".to_owned(),
                status: false,
                reason: "NetworkPluginNotReady".to_owned(),
                message,
            },
        };
        let conditions = vec![ready("RuntimeReady"), network];
        let status = Some(cri::RuntimeStatus { conditions });
        let config = format!(r#"{{"sandboxImage": "{SANDBOX_IMAGE}"}}"#);
        let info = [("config".to_owned(), config)].into();
        let handlers = self.world().handlers.clone().into_iter().map(|handler| cri::RuntimeHandler {
            name: handler.name,
            features: Some(cri::RuntimeHandlerFeatures {
                recursive_read_only_mounts: handler.recursive_read_only,
                user_namespaces: handler.user_namespaces,
            }),
        });
        let runtime_handlers = handlers.collect();
        let supplemental_groups_policy = self.world().has_strict_groups;
        let features = Some(cri::RuntimeFeatures { supplemental_groups_policy });
        Ok(Response::new(cri::StatusResponse { status, info, runtime_handlers, features }))
    }

    async fn run_pod_sandbox(
        &self,
        request: Request<cri::RunPodSandboxRequest>,
    ) -> Answer<cri::RunPodSandboxResponse> {
        self.enter("RunPodSandbox").await?;
        let cri::RunPodSandboxRequest { config, runtime_handler } = request.into_inner();
        let pod_sandbox_id = self.run_sandbox(config.unwrap_or_default(), runtime_handler);
        self.happened();
        Ok(Response::new(cri::RunPodSandboxResponse { pod_sandbox_id }))
    }

    async fn stop_pod_sandbox(
        &self,
        request: Request<cri::StopPodSandboxRequest>,
    ) -> Answer<cri::StopPodSandboxResponse> {
        self.enter("StopPodSandbox").await?;
        self.stop_sandbox(&request.into_inner().pod_sandbox_id);
        self.happened();
        Ok(Response::new(cri::StopPodSandboxResponse {}))
    }

    async fn remove_pod_sandbox(
        &self,
        request: Request<cri::RemovePodSandboxRequest>,
    ) -> Answer<cri::RemovePodSandboxResponse> {
        self.enter("RemovePodSandbox").await?;
        self.remove_sandbox(&request.into_inner().pod_sandbox_id);
        self.happened();
        Ok(Response::new(cri::RemovePodSandboxResponse {}))
    }

    async fn pod_sandbox_status(
        &self,
        request: Request<cri::PodSandboxStatusRequest>,
    ) -> Answer<cri::PodSandboxStatusResponse> {
        self.enter("PodSandboxStatus").await?;
        let status = self.sandbox_of(&request.into_inner().pod_sandbox_id)?;
        Ok(Response::new(cri::PodSandboxStatusResponse { status: Some(status), ..Default::default() }))
    }

    async fn list_pod_sandbox(
        &self,
        request: Request<cri::ListPodSandboxRequest>,
    ) -> Answer<cri::ListPodSandboxResponse> {
        self.enter("ListPodSandbox").await?;
        let labels = request.into_inner().filter.unwrap_or_default().label_selector;
        Ok(Response::new(cri::ListPodSandboxResponse { items: self.list_sandboxes(&labels) }))
    }

    async fn create_container(
        &self,
        request: Request<cri::CreateContainerRequest>,
    ) -> Answer<cri::CreateContainerResponse> {
        self.enter("CreateContainer").await?;
        let container_id = self.create(request.into_inner())?;
        self.happened();
        Ok(Response::new(cri::CreateContainerResponse { container_id }))
    }

    async fn start_container(
        &self,
        request: Request<cri::StartContainerRequest>,
    ) -> Answer<cri::StartContainerResponse> {
        let id = request.into_inner().container_id;
        let mut caller = Caller { runtime: self, id: &id, waits: true };
        let entered = self.enter("StartContainer").await;
        caller.waits = false;
        entered?;
        let started = self.start(&id);
        self.happened();
        started.map(|()| Response::new(cri::StartContainerResponse {}))
    }

    async fn stop_container(
        &self,
        request: Request<cri::StopContainerRequest>,
    ) -> Answer<cri::StopContainerResponse> {
        self.enter("StopContainer").await?;
        let cri::StopContainerRequest { container_id, timeout } = request.into_inner();
        let timeout = Duration::from_secs(u64::try_from(timeout).unwrap_or_default());
        self.stop(&container_id, timeout).await?;
        self.happened();
        Ok(Response::new(cri::StopContainerResponse {}))
    }

    async fn remove_container(
        &self,
        request: Request<cri::RemoveContainerRequest>,
    ) -> Answer<cri::RemoveContainerResponse> {
        self.enter("RemoveContainer").await?;
        self.remove(&request.into_inner().container_id);
        self.happened();
        Ok(Response::new(cri::RemoveContainerResponse {}))
    }

    async fn list_containers(
        &self,
        request: Request<cri::ListContainersRequest>,
    ) -> Answer<cri::ListContainersResponse> {
        self.enter("ListContainers").await?;
        let labels = request.into_inner().filter.unwrap_or_default().label_selector;
        Ok(Response::new(cri::ListContainersResponse { containers: self.list(&labels) }))
    }

    async fn container_status(
        &self,
        request: Request<cri::ContainerStatusRequest>,
    ) -> Answer<cri::ContainerStatusResponse> {
        self.enter("ContainerStatus").await?;
        let status = self.status_of(&request.into_inner().container_id)?;
        Ok(Response::new(cri::ContainerStatusResponse { status: Some(status), ..Default::default() }))
    }

    async fn reopen_container_log(
        &self,
        request: Request<cri::ReopenContainerLogRequest>,
    ) -> Answer<cri::ReopenContainerLogResponse> {
        self.enter("ReopenContainerLog").await?;
        self.reopen(&request.into_inner().container_id)?;
        Ok(Response::new(cri::ReopenContainerLogResponse {}))
    }

    async fn exec_sync(&self, request: Request<cri::ExecSyncRequest>) -> Answer<cri::ExecSyncResponse> {
        self.enter("ExecSync").await?;
        self.execute(request.into_inner()).await.map(Response::new)
    }

    async fn get_container_events(
        &self,
        _request: Request<cri::GetEventsRequest>,
    ) -> Answer<Self::GetContainerEventsStream> {
        self.enter("GetContainerEvents").await?;
        let Some(events) = &self.events else { return Err(Status::unimplemented("GetContainerEvents")) };
        let events = WatchStream::from_changes(events.subscribe());
        Ok(Response::new(events.map(|_| Ok(cri::ContainerEventResponse::default())).boxed()))
    }

    async fn exec(&self, request: Request<cri::ExecRequest>) -> Answer<cri::ExecResponse> {
        self.enter("Exec").await?;
        let url = self.stream("exec", request.into_inner())?;
        Ok(Response::new(cri::ExecResponse { url }))
    }

    async fn attach(&self, request: Request<cri::AttachRequest>) -> Answer<cri::AttachResponse> {
        self.enter("Attach").await?;
        let url = self.stream("attach", request.into_inner())?;
        Ok(Response::new(cri::AttachResponse { url }))
    }

    async fn port_forward(
        &self,
        request: Request<cri::PortForwardRequest>,
    ) -> Answer<cri::PortForwardResponse> {
        self.enter("PortForward").await?;
        let url = self.stream("portforward", request.into_inner())?;
        Ok(Response::new(cri::PortForwardResponse { url }))
    }

    async fn list_container_stats(
        &self,
        _request: Request<cri::ListContainerStatsRequest>,
    ) -> Answer<cri::ListContainerStatsResponse> {
        self.enter("ListContainerStats").await?;
        Ok(Response::new(cri::ListContainerStatsResponse { stats: self.stats() }))
    }

    async fn list_pod_sandbox_stats(
        &self,
        _request: Request<cri::ListPodSandboxStatsRequest>,
    ) -> Answer<cri::ListPodSandboxStatsResponse> {
        self.enter("ListPodSandboxStats").await?;
        Ok(Response::new(cri::ListPodSandboxStatsResponse { stats: self.sandbox_stats() }))
    }

    not_implemented! {
        update_container_resources(UpdateContainerResourcesRequest) -> UpdateContainerResourcesResponse;
        container_stats(ContainerStatsRequest) -> ContainerStatsResponse;
        pod_sandbox_stats(PodSandboxStatsRequest) -> PodSandboxStatsResponse;
        update_runtime_config(UpdateRuntimeConfigRequest) -> UpdateRuntimeConfigResponse;
        checkpoint_container(CheckpointContainerRequest) -> CheckpointContainerResponse;
        list_metric_descriptors(ListMetricDescriptorsRequest) -> ListMetricDescriptorsResponse;
        list_pod_sandbox_metrics(ListPodSandboxMetricsRequest) -> ListPodSandboxMetricsResponse;
        runtime_config(RuntimeConfigRequest) -> RuntimeConfigResponse;
    }
}

/// Who has asked for a start: one that is killed breaks it off.
struct Caller<'a> {
    runtime: &'a FakeRuntime,
    id: &'a str,
    waits: bool,
}

impl Drop for Caller<'_> {
    fn drop(&mut self) {
        if self.waits {
            self.runtime.break_off(self.id);
        }
    }
}
