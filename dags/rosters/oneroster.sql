-- From the CSV files of OneRoster 1.2 (orgs, classes, enrollments, users) to one row per student, for DuckDB.
-- docs/rosters.md says how to run it. It needs two variables:
--   SET VARIABLE folder = '/data/oneroster';      -- a folder, or s3://bucket/folder with DuckDB's httpfs
--   SET VARIABLE on_day = current_date;           -- enrollments of which day count
--
-- Each student gets one class. Only enrollments count that have the role student, are valid on that day, and are not
-- to be deleted. As in the standard, beginDate is the first day, and endDate the first day that is no longer in it. A
-- date that DuckDB cannot read, such as 09/01/2026, ends the query with an error, because nobody would know which
-- enrollments are over. If several enrollments count for a student, a homeroom wins over other classes, then the
-- enrollment that began last, then the class with the lowest sourcedId. A student without such an enrollment is left
-- out. The district is the nearest organisation of type district above the school; if there is none, the organisation
-- at the top. If two groups below the same parent have the same name, their sourcedId is added, because Learnosity
-- knows groups by their names alone.
WITH RECURSIVE
orgs AS (
    SELECT "sourcedId" AS id, trim("name") AS title, lower("type") AS kind, nullif("parentSourcedId", '') AS parent
    FROM read_csv(getvariable('folder') || '/orgs.csv', header = true, all_varchar = true, delim = ',', quote = '"', escape = '"')
    WHERE coalesce(lower("status"), '') <> 'tobedeleted'
),
classes AS (
    SELECT "sourcedId" AS id, trim("title") AS title, lower("classType") AS kind, "schoolSourcedId" AS school
    FROM read_csv(getvariable('folder') || '/classes.csv', header = true, all_varchar = true, delim = ',', quote = '"', escape = '"')
    WHERE coalesce(lower("status"), '') <> 'tobedeleted'
),
users AS (
    SELECT "sourcedId" AS id
    FROM read_csv(getvariable('folder') || '/users.csv', header = true, all_varchar = true, delim = ',', quote = '"', escape = '"')
    WHERE coalesce(lower("status"), '') <> 'tobedeleted' AND coalesce(lower("enabledUser"), '') <> 'false'
),
enrollments AS (
    SELECT "userSourcedId" AS student, "classSourcedId" AS class, cast(nullif("beginDate", '') AS DATE) AS begins
    FROM read_csv(getvariable('folder') || '/enrollments.csv', header = true, all_varchar = true, delim = ',', quote = '"', escape = '"')
    WHERE lower("role") = 'student'
      AND coalesce(lower("status"), '') <> 'tobedeleted'
      AND coalesce(cast(nullif("beginDate", '') AS DATE) <= getvariable('on_day'), true)
      AND coalesce(cast(nullif("endDate", '') AS DATE) > getvariable('on_day'), true)
),
above AS (  -- every school with all organisations above it, the nearest first
    SELECT id AS school, id, kind, title, parent, 0 AS distance FROM orgs
    UNION ALL
    SELECT above.school, orgs.id, orgs.kind, orgs.title, orgs.parent, above.distance + 1
    FROM above JOIN orgs ON orgs.id = above.parent
    WHERE above.distance < 10
),
districts AS (
    SELECT school, id, title
    FROM above
    QUALIFY row_number() OVER (
        PARTITION BY school
        ORDER BY CASE WHEN kind = 'district' THEN distance ELSE 100 - distance END
    ) = 1
),
chosen AS (
    SELECT enrollments.student, classes.id AS class, classes.school
    FROM enrollments
    JOIN classes ON classes.id = enrollments.class
    JOIN users ON users.id = enrollments.student
    JOIN orgs ON orgs.id = classes.school
    QUALIFY row_number() OVER (
        PARTITION BY enrollments.student
        ORDER BY classes.kind = 'homeroom' DESC, enrollments.begins DESC NULLS LAST, classes.id
    ) = 1
),
paths AS (
    SELECT chosen.student,
           districts.id AS district_id, districts.title AS district,
           chosen.school AS school_id, orgs.title AS school,
           chosen.class AS class_id, classes.title AS class
    FROM chosen
    JOIN classes ON classes.id = chosen.class
    JOIN orgs ON orgs.id = chosen.school
    JOIN districts ON districts.school = chosen.school
),
twins AS (
    SELECT *,
           min(district_id) OVER (PARTITION BY lower(district)) <> max(district_id) OVER (PARTITION BY lower(district))
               AS district_twin,
           min(school_id) OVER (PARTITION BY district_id, lower(school))
               <> max(school_id) OVER (PARTITION BY district_id, lower(school)) AS school_twin,
           min(class_id) OVER (PARTITION BY school_id, lower(class))
               <> max(class_id) OVER (PARTITION BY school_id, lower(class)) AS class_twin
    FROM paths
)
SELECT student AS user_id,
       CASE WHEN district_twin THEN district || ' (' || district_id || ')' ELSE district END AS district,
       CASE WHEN school_twin THEN school || ' (' || school_id || ')' ELSE school END AS school,
       CASE WHEN class_twin THEN class || ' (' || class_id || ')' ELSE class END AS class
FROM twins
ORDER BY user_id
