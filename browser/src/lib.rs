//! The tests are all there is: `make rehearse PARTS=browser`.
