'use strict'
// Object stores for `@pipeline/atomic`, which loads this for paths that begin with s3://, az:// or gs://.

const { openIndex } = require('./lib/index-commit.js')
const { atomicIndexPatch } = require('./lib/patch.js')
const { atomicPublish, readRelease } = require('./lib/release.js')
const { atomicWrite, atomicWriteAll, list, readIndex, remove } = require('./lib/objects.js')

module.exports = {
  atomicIndexPatch,
  atomicPublish,
  atomicWrite,
  atomicWriteAll,
  list,
  openIndex,
  readIndex,
  readRelease,
  remove,
}
