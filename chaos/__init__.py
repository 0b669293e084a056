"""The chaos suite: breaks a real Airflow, a real S3 server and the API on purpose, and looks at what is left.

Every run follows a plan that its seed alone decides, so that a failure can be repeated by its number. It is no part
of what is deployed.
"""
