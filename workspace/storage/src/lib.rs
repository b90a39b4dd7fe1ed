//! One way to name and reach files: local paths, file:// and s3:// URIs.
