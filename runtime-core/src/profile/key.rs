//! Whose profile, and of which version.

use std::collections::BTreeMap;
use std::fmt;

use serde::{Deserialize, Serialize};

use crate::container::{Container, PodGroup, PodGroupKind};

/// Whose profile it is: a pod group.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(transparent)]
pub struct ProfileKey(PodGroup);

/// The kind that stands for a container outside Kubernetes, which is a group of its own.
const CONTAINER: &str = "Container";

impl ProfileKey {
    /// The profile of this pod group.
    pub fn new(group: PodGroup) -> Self {
        Self(group)
    }

    /// The profile that a container's behaviour belongs to.
    ///
    /// That is its pod group's; where that is not known its pod's, as an independent pod; and outside Kubernetes the
    /// container's own, of the kind `Container`, by its name, so that a container that is made again under its name
    /// has the same profile. One without a name goes by its id.
    pub fn of(container: &Container) -> Self {
        let Container {
            id,
            name,
            pod,
            pod_group,
            ..
        } = container;
        if let Some(group) = pod_group {
            return Self(group.clone());
        }
        Self(match pod {
            Some(pod) => PodGroup {
                kind: PodGroupKind::pod(),
                namespace: pod.namespace.clone(),
                name: pod.name.clone(),
            },
            None => PodGroup {
                kind: PodGroupKind::new(CONTAINER),
                namespace: String::new(),
                name: name.clone().unwrap_or_else(|| id.as_str().to_owned()),
            },
        })
    }

    /// The pod group.
    pub fn group(&self) -> &PodGroup {
        &self.0
    }
}

impl fmt::Display for ProfileKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(f)
    }
}

/// The version of a profile: each container's name with its image as the spec writes it, sorted by name.
///
/// Digests are no part of it: they arrive late and differ by architecture. Nor is any other part of the template, so
/// that an edited environment variable throws nothing away.
#[derive(Debug, Clone, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct ImageSet(BTreeMap<String, String>);

/// What a container that was seen says about the image set that was known.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum ImageChange {
    /// It is in the set.
    None,
    /// Its name was not in the set before; it is now.
    Added,
    /// Its name is there with another image.
    Changed,
}

impl ImageSet {
    /// From the containers of a pod's spec, init containers among them: (name, image). Of a name that is there
    /// twice the last one counts.
    pub fn new<N: Into<String>, I: Into<String>>(containers: impl IntoIterator<Item = (N, I)>) -> Self {
        let pairs = containers.into_iter();
        Self(pairs.map(|(name, image)| (name.into(), image.into())).collect())
    }

    /// Takes in a container that runs, where no spec is at hand and the set becomes known one container at a time.
    ///
    /// A name that is new completes the set and is no new version. With another image the set stays as it is: it is
    /// the caller's to begin the new version, with [`with`](Self::with).
    pub fn observe(&mut self, name: &str, image: &str) -> ImageChange {
        match self.0.get(name) {
            Some(known) if known == image => ImageChange::None,
            Some(_) => ImageChange::Changed,
            None => {
                self.0.insert(name.to_owned(), image.to_owned());
                ImageChange::Added
            }
        }
    }

    /// The same with this image for that container.
    #[must_use]
    pub fn with(&self, name: &str, image: &str) -> Self {
        let mut set = self.clone();
        set.0.insert(name.to_owned(), image.to_owned());
        set
    }

    /// The containers, sorted by name: (name, image).
    pub fn iter(&self) -> impl Iterator<Item = (&str, &str)> {
        self.0.iter().map(|(name, image)| (name.as_str(), image.as_str()))
    }

    /// Whether there is no container in it.
    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }
}

impl fmt::Display for ImageSet {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (place, (name, image)) in self.iter().enumerate() {
            let comma = if place == 0 { "" } else { ", " };
            write!(f, "{comma}{name}={image}")?;
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::id::{CgroupId, ContainerId};

    #[test]
    fn an_image_set_does_not_depend_on_the_order_of_the_spec() {
        let one = ImageSet::new([("app", "web:1"), ("init", "setup:2")]);
        let other = ImageSet::new([("init", "setup:2"), ("app", "web:1")]);
        assert_eq!(one, other);
        assert_eq!(one.to_string(), "app=web:1, init=setup:2");
    }

    #[test]
    fn a_container_seen_later_completes_the_set_and_another_image_is_a_new_version() {
        let mut set = ImageSet::default();
        assert_eq!(set.observe("app", "web:1"), ImageChange::Added);
        assert_eq!(set.observe("proxy", "envoy:3"), ImageChange::Added);
        assert_eq!(set.observe("app", "web:1"), ImageChange::None);
        assert_eq!(set.observe("app", "web:2"), ImageChange::Changed);
        assert_eq!(set, ImageSet::new([("app", "web:1"), ("proxy", "envoy:3")]));
        assert_ne!(set.with("app", "web:2"), set);
    }

    #[test]
    fn a_container_outside_kubernetes_is_known_by_its_name() {
        let mut container = Container::unknown(ContainerId::new("c0ffee"), CgroupId(1));
        assert_eq!(ProfileKey::of(&container).to_string(), "Container//c0ffee");
        container.name = Some("web".into());
        assert_eq!(ProfileKey::of(&container).to_string(), "Container//web");
    }
}
