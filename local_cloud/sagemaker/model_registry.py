"""The model registry: groups of model packages, their versions and approval.

Developer guide, "Model Registration Deployment with Model Registry". Only versioned packages (in a group) are known
here; what is made from algorithms of AWS Marketplace is refused.
"""

import threading
from collections.abc import Callable, Mapping
from typing import Any

from local_cloud.sagemaker.environment import SageMakerEnvironment
from local_cloud.sagemaker.errors import ServiceError, invalid
from local_cloud.sagemaker.jobs import notify
from local_cloud.sagemaker.listing import list_resources
from local_cloud.sagemaker.names import Kind
from local_cloud.sagemaker.records import Records

GROUP = Kind("ModelPackageGroup", "model-package-group", "model package group")
PACKAGE = Kind("ModelPackage", "model-package", "model package")

Request = dict[str, Any]
Answer = dict[str, Any]
CheckContainer = Callable[[Mapping[str, Any]], None]


class ModelRegistry:
    """Model package groups and model packages.

    `check_container` raises AWS's error for a container of an inference specification that cannot be used.
    """

    def __init__(self, cloud: SageMakerEnvironment, check_container: CheckContainer) -> None:
        self._cloud, self._check_container = cloud, check_container
        self._lock = threading.RLock()
        self._records = Records(cloud.state_dir / "sagemaker" / "records")
        self._groups = {r["description"]["ModelPackageGroupName"]: r for r in self._records.load(GROUP)}
        self._packages = {r["description"]["ModelPackageArn"]: r for r in self._records.load(PACKAGE)}

    @property
    def operations(self) -> dict[str, Callable[[Request], Answer]]:
        """The operations by name; each takes a validated request."""
        return {
            "CreateModelPackageGroup": self.create_group,
            "DescribeModelPackageGroup": lambda request: dict(self._group(request["ModelPackageGroupName"])),
            "ListModelPackageGroups": self.list_groups,
            "DeleteModelPackageGroup": self.delete_group,
            "CreateModelPackage": self.create_package,
            "DescribeModelPackage": lambda request: dict(self.package(request["ModelPackageName"])),
            "ListModelPackages": self.list_packages,
            "UpdateModelPackage": self.update_package,
            "DeleteModelPackage": self.delete_package,
        }

    def create_group(self, request: Request) -> Answer:
        """CreateModelPackageGroup."""
        name = request["ModelPackageGroupName"]
        arn = GROUP.arn(self._cloud.region, self._cloud.account_id, name)
        with self._lock:
            if name in self._groups:
                raise invalid(f"Model Package Group already exists: {arn}")
            description = {
                **{key: value for key, value in request.items() if key != "Tags"},
                "ModelPackageGroupArn": arn,
                "CreationTime": self._cloud.now(),
                "CreatedBy": {},
                "ModelPackageGroupStatus": "Completed",
            }
            self._groups[name] = {"description": description, "tags": _tags(request), "last_version": 0, "tokens": {}}
            self._records.save(GROUP, name, self._groups[name])
        return {"ModelPackageGroupArn": arn}

    def list_groups(self, request: Request) -> Answer:
        """ListModelPackageGroups: those of this account; no other shares any."""
        filters = dict(request)
        with self._lock:
            found = [dict(record["description"]) for record in self._groups.values()]
        if filters.pop("CrossAccountFilterOption", "SameAccount") != "SameAccount":
            found = []
        return list_resources("ListModelPackageGroups", GROUP, filters, found)

    def delete_group(self, request: Request) -> Answer:
        """DeleteModelPackageGroup; one that holds packages is refused."""
        with self._lock:
            group = self._group(request["ModelPackageGroupName"])
            if self._versions(group["ModelPackageGroupName"]):
                raise ServiceError(
                    "ConflictException",
                    f"Model Package Group {group['ModelPackageGroupArn']} cannot be deleted because it still contains "
                    "Model Packages.",
                )
            del self._groups[group["ModelPackageGroupName"]]
            self._records.remove(GROUP, group["ModelPackageGroupName"])
        return {}

    def create_package(self, request: Request) -> Answer:
        """CreateModelPackage: the next version of its group. The same ClientToken again gives the same version."""
        if not request.get("ModelPackageGroupName"):
            raise invalid("The local cloud knows model packages that belong to a ModelPackageGroupName only.")
        if request.get("Tags"):
            # CreateModelPackage: "In this case, you cannot supply a tag argument"; AWS's words are those of
            # https://github.com/aws/aws-cdk/issues/33699
            raise invalid(
                "Tags are not supported in Model Package versions. Please add them to the Model Package Group."
            )
        containers = (request.get("InferenceSpecification") or {}).get("Containers") or []
        if len(containers) != 1:
            raise invalid("A model package needs an InferenceSpecification with one container here.")
        self._check_container(containers[0])
        with self._lock:
            name = self._group(request["ModelPackageGroupName"])["ModelPackageGroupName"]
            group = self._groups[name]
            token = request.get("ClientToken")
            if token in group["tokens"]:
                return {"ModelPackageArn": group["tokens"][token]}
            group["last_version"] += 1
            version = group["last_version"]  # the number of a deleted version is not given again
            arn = f"{PACKAGE.arn(self._cloud.region, self._cloud.account_id, name)}/{version}"
            if token:
                group["tokens"][token] = arn
            now = self._cloud.now()
            description = {
                "ModelApprovalStatus": "PendingManualApproval",  # the default of a versioned package
                "CertifyForMarketplace": False,
                **{key: value for key, value in request.items() if key != "ClientToken"},
                "ModelPackageName": name,
                "ModelPackageGroupName": name,
                "ModelPackageVersion": version,
                "ModelPackageArn": arn,
                "CreationTime": now,
                "LastModifiedTime": now,
                "ModelPackageStatus": "Completed",
                "ModelPackageStatusDetails": {"ValidationStatuses": [], "ImageScanStatuses": []},
            }
            self._packages[arn] = {"description": description, "tags": {}}
            self._records.save(PACKAGE, _file_name(description), self._packages[arn])
            self._records.save(GROUP, name, group)
        notify(self._cloud, PACKAGE.noun, dict(description))
        return {"ModelPackageArn": arn}

    def list_packages(self, request: Request) -> Answer:
        """ListModelPackages: the versions of a group, or of all groups.

        Without a group, versions are listed only where ModelPackageType asks for them: its default is Unversioned
        (https://github.com/boto/boto3/issues/3069). Summaries of versions have no ModelPackageName
        (https://github.com/aws/sagemaker-python-sdk/issues/5606).
        """
        filters = dict(request)
        group, status = filters.pop("ModelPackageGroupName", None), filters.pop("ModelApprovalStatus", None)
        listed = filters.pop("ModelPackageType", "Versioned" if group else "Unversioned") != "Unversioned"
        with self._lock:
            name = self._group(group)["ModelPackageGroupName"] if group else None
            found = [dict(record["description"]) for record in self._packages.values() if listed]
        found = [one for one in found if name in (None, one["ModelPackageGroupName"])]
        found = [one for one in found if status in (None, one["ModelApprovalStatus"])]
        answer = list_resources("ListModelPackages", PACKAGE, filters, found)
        for summary in answer["ModelPackageSummaryList"]:
            del summary["ModelPackageName"]
        return answer

    def update_package(self, request: Request) -> Answer:
        """UpdateModelPackage: approval and metadata."""
        arn = request["ModelPackageArn"]
        with self._lock:
            old = self.package(arn)
            new = dict(old)
            for member in ("ModelApprovalStatus", "ApprovalDescription"):
                if member in request:
                    new[member] = request[member]
            properties = {
                **old.get("CustomerMetadataProperties", {}),
                **(request.get("CustomerMetadataProperties") or {}),
            }
            for key in request.get("CustomerMetadataPropertiesToRemove") or []:
                properties.pop(key, None)
            if properties or "CustomerMetadataProperties" in old:
                new["CustomerMetadataProperties"] = properties
            changed = [key for key in new if new[key] != old.get(key)]
            new["LastModifiedTime"] = self._cloud.now()
            self._packages[arn]["description"] = new
            self._records.save(PACKAGE, _file_name(new), self._packages[arn])
        if changed:
            notify(self._cloud, PACKAGE.noun, {**new, "UpdatedModelPackageFields": changed})
        return {"ModelPackageArn": arn}

    def delete_package(self, request: Request) -> Answer:
        """DeleteModelPackage."""
        with self._lock:
            found = self.package(request["ModelPackageName"])
            del self._packages[found["ModelPackageArn"]]
            self._records.remove(PACKAGE, _file_name(found))
        return {}

    def package(self, arn: str) -> dict[str, Any]:
        """What DescribeModelPackage answers for a version, by its ARN; raises AWS's error for one that is missing."""
        with self._lock:
            found = self._packages.get(arn)
        if found is None:
            raise invalid(f"ModelPackage {arn} does not exist.")
        description: dict[str, Any] = found["description"]
        return description

    def container(self, container: Mapping[str, Any]) -> dict[str, Any]:
        """The container of a model, with image and artefact of its model package if it names one."""
        arn = container.get("ModelPackageName")
        return {**self.package(arn)["InferenceSpecification"]["Containers"][0], **container} if arn else dict(container)

    def require_approved(self, container: Mapping[str, Any]) -> None:
        """CreateModel takes a package only once it is approved."""
        arn = container.get("ModelPackageName")
        if arn and (status := self.package(arn)["ModelApprovalStatus"]) != "Approved":
            raise invalid(f"Model package {arn} is {status}: only an approved model package can be deployed.")

    def has(self, arn: str) -> bool:
        """Whether the ARN is that of a group or a package."""
        return self._find(arn) is not None

    def tags(self, arn: str) -> dict[str, str]:
        """The tags of a group or a package."""
        found = self._find(arn)
        return dict(found[2]["tags"]) if found else {}

    def set_tags(self, arn: str, tags: Mapping[str, str]) -> None:
        """Gives a group or a package these tags and no others."""
        with self._lock:
            if found := self._find(arn):
                found[2]["tags"] = dict(tags)
                self._records.save(*found)

    def _find(self, arn: str) -> tuple[Kind, str, dict[str, Any]] | None:
        with self._lock:
            if arn in self._packages:
                package = self._packages[arn]["description"]
                return PACKAGE, _file_name(package), self._packages[arn]
            for name, group in self._groups.items():
                if group["description"]["ModelPackageGroupArn"] == arn:
                    return GROUP, name, group
        return None

    def _group(self, name: str) -> dict[str, Any]:
        """By name or ARN."""
        short = name.rpartition("/")[2]
        found = self._groups.get(short)
        if found is None:
            arn = GROUP.arn(self._cloud.region, self._cloud.account_id, short)
            raise invalid(f"Model Package Group {arn} does not exist.")
        description: dict[str, Any] = found["description"]
        return description

    def _versions(self, group: str) -> list[dict[str, Any]]:
        packages = [record["description"] for record in self._packages.values()]
        return [package for package in packages if package["ModelPackageGroupName"] == group]


def _file_name(package: Mapping[str, Any]) -> str:
    return f"{package['ModelPackageGroupName']}:{package['ModelPackageVersion']}"


def _tags(request: Mapping[str, Any]) -> dict[str, str]:
    return {tag["Key"]: tag["Value"] for tag in request.get("Tags") or []}
