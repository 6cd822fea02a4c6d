"""``AWS::S3::Bucket`` and ``AWS::S3::BucketPolicy``: every setting goes through S3's own API."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any
from xml.etree.ElementTree import Element, SubElement, tostring

from ministack.services import s3
from ministack.services.cloudformation import provisioners

from local_cloud.cloudformation.handlers import Handlers, Properties, Provisioned, followed_by, with_checks


def bucket_handlers(handlers: Handlers) -> Handlers:
    """Return the emulator's handlers plus encryption, lifecycle, ownership, tags, suspended versioning, safe delete."""
    checked = with_checks({**handlers, "delete": delete_bucket}, before=_check_name)
    return {**followed_by(checked, apply=_apply), "delete": delete_bucket}


def policy_handlers(handlers: Handlers) -> Handlers:
    """Return handlers that put a bucket policy as PutBucketPolicy does, Block Public Access included."""

    def create(_logical_id: str, properties: Properties, _stack_name: str) -> Provisioned:
        bucket = properties["Bucket"]
        _accepted(s3._put_bucket_policy(bucket, provisioners._policy_document_json(properties).encode()), bucket)
        return f"{bucket}-policy", {}

    def update(physical_id: str, old: Properties, new: Properties, stack_name: str, *_rest: Any) -> Provisioned:
        if old.get("Bucket") != new.get("Bucket"):
            handlers["delete"](physical_id, old)
        return create(physical_id, new, stack_name)

    return {"create": create, "update": update, "delete": handlers["delete"]}


def delete_bucket(physical_id: str, properties: Properties) -> None:
    """Delete an empty bucket; one with objects stays, as on AWS. Raises ValueError with the command that empties it."""
    bucket = s3._buckets.get(physical_id)
    if bucket is None:
        return
    versions = any(name == physical_id and found for (name, _key), found in list(s3._object_versions.items()))
    if bucket["objects"] or versions:
        raise ValueError(
            "The bucket you tried to delete is not empty. You must delete all versions in the bucket. (Service: S3, "
            f"Status Code: 409) This removes up to 1000 of them for good: {emptying_command(physical_id)}"
        )
    provisioners._s3_delete(physical_id, properties)
    s3._delete_persisted_bucket(physical_id)


def emptying_command(bucket: str) -> str:
    """Return a command that removes the first thousand objects of a bucket, with all versions and delete markers."""
    every = "{Objects: [Versions, DeleteMarkers][].{Key: Key, VersionId: VersionId}}"
    listed = f"aws s3api list-object-versions --bucket {bucket} --max-items 1000 --output json --query '{every}'"
    return f'aws s3api delete-objects --bucket {bucket} --delete "$({listed})"'


def _check_name(properties: Properties) -> None:
    """https://docs.aws.amazon.com/AmazonS3/latest/userguide/bucketnamingrules.html, as CreateBucket looks at them."""
    name = properties.get("BucketName")
    if name and not s3._validate_bucket_name(name):
        raise ValueError("The specified bucket is not valid.")


def _apply(name: str, old: Properties, new: Properties) -> None:
    _put(name, "VersioningConfiguration", new, _versioning_xml, s3._put_bucket_versioning)
    _put(name, "BucketEncryption", new, _encryption_xml, s3._put_bucket_encryption)
    _put(name, "LifecycleConfiguration", new, _lifecycle_xml, s3._put_bucket_lifecycle)
    _put(name, "OwnershipControls", new, _ownership_xml, s3._put_bucket_ownership_controls)
    _put(name, "Tags", new, _tags_xml, s3._put_bucket_tagging)
    removed = {
        "BucketEncryption": s3._delete_bucket_encryption,
        "LifecycleConfiguration": s3._delete_bucket_lifecycle,
        "OwnershipControls": s3._delete_bucket_ownership_controls,
        "Tags": s3._delete_bucket_tagging,
    }
    for property_name, remove in removed.items():
        if old.get(property_name) and not new.get(property_name):
            remove(name)


def _put(
    name: str,
    property_name: str,
    properties: Properties,
    to_xml: Callable[[Any], Element],
    put: Callable[[str, bytes], tuple[int, Any, Any]],
) -> None:
    if properties.get(property_name):
        _accepted(put(name, tostring(to_xml(properties[property_name]))), f"{name} {property_name}")


def _accepted(response: tuple[int, Any, Any], what: str) -> None:
    status, _headers, body = response
    if status >= 400:
        raise ValueError(f"S3 refused {what}: {body.decode() if isinstance(body, bytes) else body}")


def _versioning_xml(setting: Mapping[str, Any]) -> Element:
    root = Element("VersioningConfiguration", xmlns=s3.S3_NS)
    SubElement(root, "Status").text = str(setting["Status"])
    return root


def _encryption_xml(setting: Mapping[str, Any]) -> Element:
    root = Element("ServerSideEncryptionConfiguration", xmlns=s3.S3_NS)
    for rule in setting["ServerSideEncryptionConfiguration"]:
        element = SubElement(root, "Rule")
        default = SubElement(element, "ApplyServerSideEncryptionByDefault")
        for field in ("SSEAlgorithm", "KMSMasterKeyID"):
            if field in rule["ServerSideEncryptionByDefault"]:
                SubElement(default, field).text = str(rule["ServerSideEncryptionByDefault"][field])
        SubElement(element, "BucketKeyEnabled").text = str(rule.get("BucketKeyEnabled", False)).lower()
    return root


def _lifecycle_xml(setting: Mapping[str, Any]) -> Element:
    root = Element("LifecycleConfiguration", xmlns=s3.S3_NS)
    for rule in setting["Rules"]:
        element = SubElement(root, "Rule")
        if rule.get("Id"):
            SubElement(element, "ID").text = str(rule["Id"])
        SubElement(element, "Status").text = str(rule["Status"])
        SubElement(SubElement(element, "Filter"), "Prefix").text = str(rule.get("Prefix", ""))
        if "ExpirationInDays" in rule or "ExpiredObjectDeleteMarker" in rule:
            expiration = SubElement(element, "Expiration")
            if "ExpirationInDays" in rule:
                SubElement(expiration, "Days").text = str(rule["ExpirationInDays"])
            if "ExpiredObjectDeleteMarker" in rule:
                marker = str(rule["ExpiredObjectDeleteMarker"]).lower()
                SubElement(expiration, "ExpiredObjectDeleteMarker").text = marker
        for structure in ("NoncurrentVersionExpiration", "AbortIncompleteMultipartUpload"):
            if structure in rule:
                below = SubElement(element, structure)
                for field, value in rule[structure].items():
                    SubElement(below, field).text = str(value)
    return root


def _ownership_xml(setting: Mapping[str, Any]) -> Element:
    root = Element("OwnershipControls", xmlns=s3.S3_NS)
    for rule in setting["Rules"]:
        SubElement(SubElement(root, "Rule"), "ObjectOwnership").text = str(rule["ObjectOwnership"])
    return root


def _tags_xml(tags: list[Mapping[str, str]]) -> Element:
    root = Element("Tagging", xmlns=s3.S3_NS)
    tag_set = SubElement(root, "TagSet")
    for tag in tags:
        element = SubElement(tag_set, "Tag")
        SubElement(element, "Key").text = str(tag["Key"])
        SubElement(element, "Value").text = str(tag["Value"])
    return root
