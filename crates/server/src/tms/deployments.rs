//! Carries out what [`progress`] decides. Each change is compared and set, so that two reports at once, on two servers
//! even, move a deployment one step.

use hsm::Hsm;
use serde_json::json;
use store::{DeploymentState, Store, StoreError};

use super::progress::{self, Decision};
use crate::{
    clock::now_ms,
    kms::{Kms, event},
};

impl<S: Store, H: Hsm> Kms<S, H> {
    /// Lets a deployment go on or stop by its counts.
    pub(super) async fn progress(&self, id: i64) -> Result<(), StoreError> {
        while let Some(deployment) = self.store.deployment(id).await? {
            let counts = &deployment.counts;
            let detail = json!({ "vendor": deployment.vendor, "stage": deployment.stage,
                "installed": counts.installed, "failed": counts.failed });
            let subject = id.to_string();
            match progress::decide(&deployment) {
                Decision::Stay => break,
                Decision::Stop => {
                    let alarm = event("alarm.deployment-stopped", "server", subject, detail);
                    let (from, to) = ([DeploymentState::Running], DeploymentState::Stopped);
                    if self.store.set_deployment_state(id, &from, to, alarm).await? {
                        tracing::warn!(deployment = id, "too many failures: the deployment is stopped");
                    }
                    break;
                }
                Decision::Advance { from, to } => {
                    let event = event("tms.deployment-advanced", "server", subject, detail);
                    if !self.store.set_stage(id, from, to, event).await? {
                        break; // another report did it, and looks further itself
                    }
                    tracing::info!(deployment = id, stage = to, "the deployment goes on");
                }
            }
        }
        Ok(())
    }

    /// Ends the deployments whose time is over.
    pub(crate) async fn end_deployments(&self) {
        if !self.tms.serves() {
            return;
        }
        if let Err(error) = self.try_end_deployments().await {
            tracing::error!(%error, "deployments whose time is over could not be ended");
        }
    }

    async fn try_end_deployments(&self) -> Result<(), StoreError> {
        for deployment in self.store.deployments_over(now_ms()).await? {
            let counts = &deployment.counts;
            let detail = json!({ "vendor": deployment.vendor, "offered": counts.offered,
                "installed": counts.installed, "failed": counts.failed });
            let event = event("tms.deployment-finished", "server", deployment.id.to_string(), detail);
            let (from, to) = ([DeploymentState::Running, DeploymentState::Paused], DeploymentState::Finished);
            self.store.set_deployment_state(deployment.id, &from, to, event).await?;
        }
        Ok(())
    }
}
