-- One row per student: user_id, and one column for each level of the hierarchy in the DAG learnosity_from_warehouse.
-- Edit this query for the tables of your warehouse. Cast ids to text, because 007 and 7 are two users.
SELECT
    CAST(student_no AS text) AS user_id,
    district,
    school,
    class
FROM roster
WHERE active
ORDER BY 1
