'use strict';

// Stubs for jobs that run in Rust, for the job library of a program-executor.
//
// program-executor skips a job that its library lacks, and goes on as if the job were done. A stub sends the
// program back to the queue instead, without touching its row: it comes again after a second, for as long as
// it takes until a Rust worker has it.
//
//   const { rustJobs } = require('./rust-jobs');
//   const jobLibrary = { ...rustJobs(['send_invoice', 'archive']), first_job: FirstJob };

class LeftToRust extends Error {
  constructor(job) {
    super(`${job} runs in Rust; this worker leaves it to those`);
    this.name = 'LeftToRust';
    // For program-executor: back after a second, and nothing is counted.
    this.executionTimeExceeded = true;
  }
}

function rustJobs(names) {
  const library = {};
  for (const name of names) {
    library[name] = {
      name,
      create: () => ({
        execute: async () => {
          throw new LeftToRust(name);
        },
      }),
    };
  }
  return library;
}

module.exports = { rustJobs, LeftToRust };
