//! Stands in for MQTT in a program without it: there is no option, and no connection.

use super::verdict::Known;
use anyhow::Result;
use mtslvr_runtime::fewshot::ClassId;

/// No options.
#[derive(Clone, Debug, clap::Args)]
pub(super) struct MqttChoice {}

impl MqttChoice {
    #[expect(
        clippy::unused_self,
        clippy::unnecessary_wraps,
        reason = "as with the feature"
    )]
    pub(super) fn start(&self, _: &str) -> Result<Option<Mqtt>> {
        Ok(None)
    }
}

/// A connection that cannot be.
#[derive(Debug)]
pub(super) enum Mqtt {}

impl Mqtt {
    pub(super) fn notes(&self) -> Vec<String> {
        match *self {}
    }

    pub(super) fn set_classes(&mut self, _: &[Known]) {
        match *self {}
    }

    pub(super) fn tell(&mut self, _: ClassId, _: bool, _: &str) {
        match *self {}
    }

    pub(super) fn finish(self) -> Vec<String> {
        match self {}
    }
}
