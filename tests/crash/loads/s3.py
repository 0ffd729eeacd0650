"""Objects small (in the row) and large (in a file): put, copied, uploaded in parts, deleted. Each is whole, with the bytes of one upload."""

from __future__ import annotations

import hashlib
from typing import ClassVar

from botocore.exceptions import ClientError

import loads
from loads import ABSENT, Register, ask, code


def content(number: int) -> bytes:
    return hashlib.sha256(b"%d" % number).digest() * (20 if number % 2 else 2000)


class Load(loads.Load):
    NEEDS: ClassVar = {("s3", "PutObject"), ("s3", "CompleteMultipartUpload"), ("s3", "CopyObject"), ("s3", "DeleteObject")}

    def set_up(self) -> None:
        self.s3 = self.client("s3")
        self.s3.create_bucket(Bucket="mixed")
        self.objects = Register()

    def step(self, n: int) -> None:
        key = f"k{self.draw.randrange(self.KEYS)}"
        what = n % 8
        if what == 3:
            self.objects.change(key, ABSENT, self.s3.delete_object, Bucket="mixed", Key=key)
        elif what == 5:
            self.copy(key, f"k{self.draw.randrange(self.KEYS)}")
        elif what == 7:
            self.in_parts(key, n)
        else:
            self.objects.change(key, n, self.s3.put_object, Bucket="mixed", Key=key, Body=content(n))

    def copy(self, source: str, target: str) -> None:
        values = self.objects.possible(source)
        if len(values) != 1 or values == {ABSENT} or source == target:
            return
        (number,) = values
        self.objects.change(target, number, self.s3.copy_object, Bucket="mixed", Key=target, CopySource=f"mixed/{source}")

    def in_parts(self, key: str, n: int) -> None:
        upload = ask(self.s3.create_multipart_upload, Bucket="mixed", Key=key)["UploadId"]
        part = ask(self.s3.upload_part, Bucket="mixed", Key=key, UploadId=upload, PartNumber=1, Body=content(n))
        parts = {"Parts": [{"PartNumber": 1, "ETag": part["ETag"]}]}
        self.objects.change(key, n, self.s3.complete_multipart_upload, Bucket="mixed", Key=key, UploadId=upload, MultipartUpload=parts)

    def look(self, key: str) -> None:
        try:
            body = ask(self.s3.get_object, Bucket="mixed", Key=key)["Body"].read()
        except ClientError as error:
            assert code(error) == "NoSuchKey"
            self.objects.seen(key, ABSENT)
            return
        by_content = {content(number): number for number in self.objects.possible(key) if number is not ABSENT}
        assert body in by_content, f"{key} holds {len(body)} bytes that nobody put; possible: {self.objects.possible(key)}"
        self.objects.seen(key, by_content[body])

    def verify(self) -> None:
        listed = {item["Key"] for item in ask(self.s3.list_objects_v2, Bucket="mixed").get("Contents", [])}
        for key in self.objects:
            possible = self.objects.possible(key)
            assert key in listed or ABSENT in possible, f"{key} is not listed"
            assert key not in listed or possible != {ABSENT}, f"{key} was deleted and is listed"
        for key in self.some(list(self.objects)):
            self.look(str(key))

    def finish(self) -> None:
        for key in self.objects:
            self.look(str(key))
