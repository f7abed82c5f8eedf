//! CRI's image service over the fake's world.

use k8s_cri::v1::image_service_server::ImageService;
use k8s_cri::v1::{
    Image, ImageFsInfoRequest, ImageFsInfoResponse, ImageSpec, ImageStatusRequest, ImageStatusResponse,
    Int64Value, ListImagesRequest, ListImagesResponse, PullImageRequest, PullImageResponse,
    RemoveImageRequest, RemoveImageResponse,
};
use tonic::{Request, Response, Status};

use super::FakeRuntime;
use super::world::{FakeImage, World};

/// The id under which an image is known besides its name.
fn id(name: &str) -> String {
    format!("sha256:{name}")
}

fn describe(name: &str, image: &FakeImage) -> Image {
    Image {
        id: id(name),
        repo_tags: vec![name.to_owned()],
        size: 1000,
        uid: image.behaviour.uid.map(|value| Int64Value { value }),
        ..Image::default()
    }
}

fn find<'a>(world: &'a mut World, spec: &ImageSpec) -> Option<(&'a String, &'a mut FakeImage)> {
    world.images.iter_mut().find(|(name, _)| **name == spec.image || id(name) == spec.image)
}

#[tonic::async_trait]
impl ImageService for FakeRuntime {
    async fn list_images(
        &self,
        _request: Request<ListImagesRequest>,
    ) -> Result<Response<ListImagesResponse>, Status> {
        self.enter("ListImages").await?;
        let world = self.world();
        let present = world.images.iter().filter(|(_, image)| image.present);
        let images = present.map(|(name, image)| describe(name, image)).collect();
        Ok(Response::new(ListImagesResponse { images }))
    }

    async fn image_status(
        &self,
        request: Request<ImageStatusRequest>,
    ) -> Result<Response<ImageStatusResponse>, Status> {
        self.enter("ImageStatus").await?;
        let spec = request.into_inner().image.unwrap_or_default();
        let mut world = self.world();
        let found = find(&mut world, &spec).filter(|(_, image)| image.present);
        let image = found.map(|(name, image)| describe(name, image));
        Ok(Response::new(ImageStatusResponse { image, info: Default::default() }))
    }

    async fn pull_image(
        &self,
        request: Request<PullImageRequest>,
    ) -> Result<Response<PullImageResponse>, Status> {
        self.enter("PullImage").await?;
        let spec = request.into_inner().image.unwrap_or_default();
        let mut world = self.world();
        match find(&mut world, &spec) {
            Some((name, image)) => {
                image.present = true;
                Ok(Response::new(PullImageResponse { image_ref: id(name) }))
            }
            None => {
                Err(Status::not_found(format!("failed to resolve reference {:?}: not found", spec.image)))
            }
        }
    }

    async fn remove_image(
        &self,
        request: Request<RemoveImageRequest>,
    ) -> Result<Response<RemoveImageResponse>, Status> {
        self.enter("RemoveImage").await?;
        let spec = request.into_inner().image.unwrap_or_default();
        if let Some((_, image)) = find(&mut self.world(), &spec) {
            image.present = false;
        }
        Ok(Response::new(RemoveImageResponse {}))
    }

    async fn image_fs_info(
        &self,
        _request: Request<ImageFsInfoRequest>,
    ) -> Result<Response<ImageFsInfoResponse>, Status> {
        self.enter("ImageFsInfo").await?;
        let image_filesystems = vec![self.image_usage()];
        Ok(Response::new(ImageFsInfoResponse { image_filesystems, ..Default::default() }))
    }
}
