"""Texts that a reply whose listing is whole may have: instructions, counts of zero, and what is in the files."""

from __future__ import annotations

LEGAL = """
Files are sorted, the first 100 users come first
Your files are ready. Files not downloaded within 24 hours will be deleted.
Files that are not downloaded in time must be requested again.
The files were generated from 3 sessions, 2 of which failed
Sessions that failed are not included
If you see missing files, contact support.
Contact support if files are missing.
Please contact us when files are missing
Old files have been deleted
The files of the previous run were deleted
Large files are split, so the result has 2 parts
This file replaces files that were lost
Results are ready
Results pending review are not included
Files remaining in the bucket are removed after 30 days
Files left in the bucket are deleted after 30 days
Files remaining valid until 30 Nov
Remaining time of links: 3600 s
Objects remaining in storage: 3
2 files remaining valid for 1 hour
The URLs will be available for 1 hour
URLs expire; a file left unused is removed
The files are only available for 24 hours
The files are not encrypted
The files are not compressed
Files not in the list were merged
All files are listed, none missing
No files are missing
There are no missing files
2 files. No file missing.
0 files missing
Files: 2, missing: 0
2 files (0 missing)
2 files listed, 0 files failed
2 files, 0 failed
2 files written, none skipped
2 files processed, 0 errors
2 files generated in 12 s
Two files were generated; rows with errors were skipped
Two files were generated, and 3 sessions were skipped
Two files, with 3 sessions skipped
Sessions left: 3
Pages: 2
Page 1
page 1/1
Files 1 - 2 of 2
Showing 2 of 2 files
Showing the first 2 of 2 files
Showing first 2 of 2
Listing the first 2 of 2 files
Results limited to 2 of 2 groups
Results 1-2 of 2
This dataset only contains the first session of each user
Only the latest 3 sessions of each user are included
Only the last 12 months are included
Only the first two levels of groups are included
Only the last 30 days are available
Only the last 90 days are returned
Only first attempts are included
Only the first attempt is included
Only the top 3 distractors are shown
Only the first 10 are scored
Only the first ten questions were scored
Only the last two are shown as percentages
Only the top 10 are listed by name
Only part of the results is weighted
Only some results are weighted
Only half of the students were present
Only a few results are available for group north
Export contains the last 30 days
The export contains the last 30
Data includes the last 3 attempts
Includes the first 3 attempts.
Returns the latest 5 sessions
Includes the latest 3.
Contains the last 12 months
The export is limited to 1000 sessions per file
The export was limited to 3 attempts per student
The dataset is limited to activities of 2026
The dataset is limited to 2026
The dataset was limited to 10 results per user
Dataset restricted to 3 activities
Export limited to 30 days
Results are cut to 2 digits
Responses limited to 500 characters
The response was limited to 500 words
The page was cut
Too many attempts: 3 users were locked
Too many pages in activity a1
Activity a1 has too many pages
Too many results per student are averaged
Students with too many results are averaged
Essay too long: 3 answers were cut
Data too large for Excel? Use the CSV file
The files may be too large for Excel
The files are too large for Excel, use another tool
Output too large for Excel
Results too large to open in Excel are split
If files are too large, use limit
A file too large to open in Excel is split
Large results: use `limit` to get more pages of results in one call
Use the manifest to find other files
Use the page parameter to find other reports
Use the API token to get the following files: a.json, b.csv
Use a token to access the remaining quota
Use this token to download the following files
Set the page size to see more rows in the dashboard
Follow the link on this page to see the remaining budget
Use limit to get further performance
See next page of the report for details
See the following page for help
See following files
See the following files
See the following files: a.json, b.csv
Load the following files into your warehouse
Get the following files: a.json and b.csv
Retrieve the following files
Fetch the following files within one hour
Open the following pages for help
Please load the following files in order
Download the following files
Request page 2 of the form to change this
See page 12 of the manual
See page 3 of the documentation
Part 1 of 2 of the assessment series
Part 2 of 3: Mathematics
Batch 1 of 3 students
There are additional files for the codebook
There are more results in the dashboard
There are more results than users
There are 2 further files in the codebook
More information: see the following entries
Job finished. Files will be deleted later
Files will be removed soon
The files will be done after lunch
Files are being kept for 7 days
The files are being stored for 30 days
Files are still being kept
Links are being renewed every hour
Files are being served by our CDN
The files are being scanned for viruses
Results are being weighted
Files are currently stored in the EU
Files are currently compressed with gzip
Currently, files are compressed
Files are not currently encrypted
The files are not yet encrypted
Files not yet downloaded are kept for 7 days
Files not yet downloaded: 2
2 files not yet downloaded
Results not yet scored are empty
Results were not yet reviewed
Results are not yet published
Results not published
2 results were not published to students
Results will be published later
Results will be published soon
The results will be sent to students later
Results will be shown to students tomorrow
Results will be delivered in 3 hours to schools
Results may differ slightly after rescoring
Some results are missing because students did not respond
Some results are missing
Some results were skipped
Some results could not be matched to a student
Some results could not be scored
Some results have not been reviewed
3 results were not found in the roster
Some entries have errors
Some entries were not found in the roster
Entries that could not be found are null
Some parts of the activity were skipped
Some documents were not uploaded by students
2 documents could not be opened by the scoring engine
Some objects were not displayed
Some pages were not displayed to students
Some segments were not recorded
Several links of items could not be loaded
Some addresses could not be geocoded
3 addresses are missing
Students whose address is missing
Some batches were scored late
Students in batch 2 did not finish
Some output columns are empty
Archives are not included
The archive is not included
Archived sessions are not included
Archive not included
Archives were excluded
Output not included
Outputs not needed are left out
Manifest file not included
The manifest file is not included
Readme file is not included
A header file is not included
A checksum file was not created
A manifest was not written
Audio file could not be read
Audio files not included
A file of the student could not be opened
Student files could not be opened
Users' files are not included
User files not included
Student uploads: 2 files were not found
File responses are not included
File upload questions: 2 files were not opened
Uploaded student files were not included
Response files are not included
Recording files were skipped
PDF files are not included
2 PDF files could not be parsed
1 XML file ignored
Hidden files are ignored
Unknown files are ignored
Metadata files are not included
Files with size 0 are not listed
Files of size 0 were skipped
Files without rows are not listed
Files without rows were skipped
Files with no rows were left out
Files that would be empty were not generated
Files for empty groups were not created
Files for empty groups are omitted
Files for groups without students were not generated
Files of groups with fewer than 5 students are not created
Files from 2025 are not included
Files older than 30 days are not listed
Files from other datasets are not listed
Files of other datasets are not included
Files are lost after 30 days
Files are unavailable after 7 days
Files are unavailable after the link expires
Files become unavailable in 7 days
The files cannot be opened in Excel
Files cannot be opened in Excel
Files could not be opened? Use gunzip
Files cannot be read by Excel 2003
Files cannot be shared, they are signed
Files cannot be displayed in the browser
Files can not be displayed in browser
Files can't be displayed in your browser
Files are not displayed in the dashboard
Results are not displayed to students
Files are not sent by email
The file was not sent by email
Files are not stored in the US
Files are not stored permanently
Files are not signed
The file is not signed
Files will not be listed twice
Files were not merged
Files are not merged
Files have not been merged, one per group
Files are not packed
Files are not copied to your bucket
The files are not loaded into a database
Output is not provided as XML
Outputs are not provided as XML
File timed out
Temp files were removed
No file could be left out
No more files
There are no more files
No further files
There are no further files
There are not any further files
There aren't more files
No remaining files
There is nothing more
Nothing was skipped
Nothing is missing
Everything was listed
Everything is not listed twice
Listing complete; nothing skipped, nothing failed
Skipped files: n/a
Skipped files:
Skipped files: []
Skipped files: {}
Skipped files: (none)
Skipped files: zero
Skipped files: "none"
Skipped files: 'none'
Skipped files - none
Failed outputs: nothing
Failed files = 0
Failed files: 0/2
Failed files: 00
Failed files: 0 of 2
Missing pages: see FAQ
Missing entries: shown as null
Missing documents: ask your teacher
missing files: false
Missing files: False
Missing files: never
failed:0 skipped:0
failed files:0, skipped files:0
Files failed: 0
Files failed: 0 Files skipped: 0
Files failed 0
Files skipped 0
files_failed=0 files_skipped=0
files skipped=0
Failed 0 files
Files missing 0, files listed 2
Errors 0, files 2, missing 0
Error files: none
Errors while listing the files: 0
Errors while listing files: none
errors during generating files: 0
Failures when writing files: none
Timeouts while writing results: 0
Problems creating files? Contact support
Problems when creating files? Contact support
In case of problems while fetching files, contact support
For errors when fetching files see the docs
Error when fetching files: see docs
Errors in listing files are logged
If errors occur while fetching the files, retry
Errors on exporting the dataset are logged in errors.json
The export timed out once and was retried
Query timed out once, retry succeeded
One call was aborted and repeated
A database timeout occurred, the job was retried successfully
The job was interrupted and resumed
The job was interrupted once, and then completed
Job aborted by user 0 times
The operation was interrupted but completed
The first request timed out; the second succeeded
Generation failed at first, then succeeded
Export failed once and was repeated
The generation failed once; the second attempt completed
Generation of 2 files has failed 0 times
Generation of statistics failed for 3 items
Generation of PDF reports failed
Compilation of the report for item i1 failed
Unable to fetch files? Check your firewall
Cannot get the files? Contact support
Can't get file? Contact support
Did not get the files? Ask support
Unable to load results in Excel? Use CSV
We could not process results of 3 students
Could not process some results of 3 students
Could not process 3 documents of students
Could not load some objects of item i1
Could not store 3 entries of the log
Cannot process XML documents
Cannot include links to items
Did not include links to items
Did not include addresses of students
Did not include parts of the test without score
Could not return documents older than one year
Could not find...
Failed to load some pages in the player: 3 students
Failed to load page 3: 2 students
Students failed to load all pages
Skipped 2 pages
Skipped 3 entries of the roster without id
Skipped 2 documents without text
Skipped some parts of the test
Omitted 3 objects without id
Dropped 2 duplicate entries
Dropped 2 entries
Missing 2 addresses
The job finished with errors in 3 sessions
Job completed with 3 errors in the scoring
Job completed with some errors of users
Dataset generated with errors of the students
Export completed with 0 errors
Export completed with no errors
Export completed with zero problems
Export completed with errors: 0
Response incomplete for 3 students
Response is partial credit
Response truncated to 4000 chars
Reply is cut off at 4000 bytes
Reply is partial
Sessions still uploading at the time of the export are not included
Items that are still being created are not included
Students who are still creating their account are left out
Authors are still publishing activity a1
The files are being stored for 30 days in the EU
Files are being deleted after 30 days
Files are being encrypted at rest
Output is being compressed with gzip
Each file is being signed for one hour
Files are being replaced every night
All files are being kept until 30 Dec
The output files will be stored later in your archive
The files will be copied to your bucket later
Files will be published to schools later
Some results are being reviewed by teachers
3 documents are being reviewed by teachers
Some links are being retired
The archive will be complete tomorrow
Some results are pending review
3 results are pending
Some results are pending teacher scoring
2 entries are pending moderation
Some parts are still being scored
Files cannot be copied or published without permission
The files can not be shown to third parties
The files are not to be published
Files are provided as is
Files will not be stored after 30 days
Files will not be available after 30 days
The files will not be included in backups
The files have only results of finished sessions
File names have been truncated
In files, empty values are omitted
In the files are no results of deleted users
Output: results not published to users
Output files not needed anymore can be deleted
The output was not truncated
The output is not truncated
Files were created, missing values are null
Files with missing values are complete
Each file has missing values as null
The files have missing values
The files contain missing values
The files are missing values for 3 users
Files are missing a header by design
File is missing column score when no question is scored
The file has errors of the students by question
The file has error counts by question
Files have errors marked as X
Output has errors in column D when opened in Excel
Files left: 0
Files remaining: 0
Files failed: none
Files failed: -
Files pending: 0
Files incomplete: 0
Files pending 0
0 pending files
Chunks: 2, chunks failed: 0, chunks pending: 0
Outputs: 2 ok, 0 failed
Files (2): a.json, b.csv. Missing (0)
Files: a.json, b.csv. Skipped: none
Report of the activity 'Missing Files'
Activity: The Lost Files
Activity "Missing pages: a mystery"
Dataset of 'The missing links'
School: St. Mary's Archives
Results for 'No Files Left Behind'
Question "Some files are lost. Which?" was rescored
Item 'Too many pages' was retired
Activity 'Page 1 of 2' was renamed
Book report: The file was lost
Title: The Archive is damaged
Reading test 'Some parts are missing'
Reading comprehension, part 1 of 2
Part 1 of 2: Reading comprehension
Page 2 of 4 in the guide has details
Batch 3 of 2026
Segment 4 of 12 students
Chunk 2 of 2
Year 8, batch 2 of 4
Section 'See next page' was skipped by 3 users
Scores of 3 users exceed the maximum
3 responses exceed the maximum length
The response exceeds the limit
Output exceeds the limit of Excel
Entries exceed the maximum score
Results exceed the maximum score
The results exceed the limit of 100 %
Listing contains the first 3 attempts
The listing is limited to 12 months
The listing is limited to 3
The response was limited to 2026
Response was limited to 3 choices
The response was cut to 500 chars
The result is limited to 100
The results are limited to 100 points
Output limited to 2 files per group
The dataset is limited to 3 entries per user
The export is limited to 2 documents per student
Object limit reached: 0
Row limit reached: no
Row limit reached: false
Result limit exceeded: no
Entry limit not reached
No limit of files reached
Limit of 5 entries reached by 3 users
Stopped at 10 pages
Tests end after 5 pages
Each test ends after 10 pages
The activity ends after 3 parts
Sessions ended after 3 parts are complete
The test ended after 2 pages for 3 users
The remaining results will be scored by hand
Remaining documents will be deleted
Rest of the documents will be archived
Further results will be in next year's dataset
Remaining entries exist in the archive
Use the files with limit 5 GB to load the other files
Use limit=1000 to get further pages faster
Use page 2 of the guide to find more
See page 4
See page 2 for definitions
Load page 2 to see the legend
Get page 2
Call page 12345
Fetch the remaining files with `wget -i`
Get the next file after the first one
Go to the next page of the form
Open the next page in the dashboard
Continue with the next parts of the guide
""".strip().splitlines()
