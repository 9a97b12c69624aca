// What may pass where binaries are checked: versions of glibc, and what an emulator lacks.

import { execFileSync } from 'node:child_process'
import { copyFileSync, readFileSync, truncateSync } from 'node:fs'
import { join } from 'node:path'
import { expect, inject } from 'vitest'
import { checkBinaries } from '../../scripts/check/binaries.mjs'
import { platform } from '../../scripts/loader.mjs'
import { beyondGlibc } from '../../scripts/platforms/elf.mjs'
import { gapOf } from '../../scripts/platforms/gaps.mjs'
import { complaintOfSize } from '../../scripts/platforms/targets.mjs'
import { needs } from '../helpers/needs'
import { test } from '../helpers/test'

needs('a C compiler')('a binary needs no glibc above the floor, in whatever words', ({ dir }) => {
  const build = (name: string, ...options: string[]) => {
    const path = join(dir, name)
    const input = '#include <stdio.h>\nint x, *p = &x;\nint f(void) { return puts("") + *p; }\n'
    execFileSync('cc', ['-shared', '-fPIC', ...options, '-xc', '-o', path, '-'], { input })
    return path
  }
  const packed = build('packed.so', '-Wl,-z,pack-relative-relocs')
  const library = readFileSync(packed)
  // Not all linkers know the option; the others leave a warning and no such need.
  if (library.includes('GLIBC_ABI_DT_RELR')) {
    expect(beyondGlibc(library, '2.99')).toEqual(['GLIBC_ABI_DT_RELR'])
    copyFileSync(packed, join(dir, 'atomic.linux-x64-gnu.node'))
    expect(checkBinaries(dir)).toMatch(/^atomic\.linux-x64-gnu\.node needs GLIBC_ABI_DT_RELR, .* 2\.17$/)
  }
  const plain = readFileSync(build('plain.so'))
  expect(beyondGlibc(plain, '2.99')).toEqual([])
  expect(beyondGlibc(plain, '1.0')).not.toEqual([])
  // Its section headers are stripped.
  plain.writeUInt16LE(0, 60)
  expect(beyondGlibc(plain, '2.99')).toEqual(['an unknown version of libc.so.6'])
  const free = readFileSync(build('free.so', '-nostdlib', '-Wl,--unresolved-symbols=ignore-all'))
  expect(beyondGlibc(free, '2.99')).toEqual(['an unknown version of libc.so.6'])
})

test('an emulator is excused for what it lacks, and for no other error of the same check', () => {
  const held = { name: 'a file that is read by another handle', problem: 'it failed', by: 'Wine' }
  expect(gapOf({ ...held, code: 'EBUSY' })).toMatch('POSIX semantics')
  for (const check of [
    { ...held, code: 'ERR_ASSERTION' },
    { ...held, code: 'EIO' },
    held,
    { ...held, code: 'EBUSY', by: '' },
    { ...held, code: 'EBUSY', name: 'updates of an index' },
    { ...held, code: 'EBUSY', name: 'toString' },
  ]) {
    expect(gapOf(check), JSON.stringify(check)).toBeUndefined()
  }
})

test('the addon is as small as its limit says, unless it was built with another profile', ({ dir }) => {
  const name = `atomic.${platform()}.node`
  const addon = join(inject('addon'), name)
  expect(complaintOfSize(addon)).toBe('')
  const larger = join(dir, name)
  copyFileSync(addon, larger)
  const hasSymbols = readFileSync(addon).includes('\0.symtab\0')
  // With options of its own, as CONTRIBUTING.md has them for a build after each change.
  const isOther = hasSymbols || Object.keys(process.env).some((name) => name.startsWith('CARGO_PROFILE_'))
  truncateSync(larger, 5_000_000)
  if (!isOther) expect(complaintOfSize(larger)).toMatch(`${name} has 5000000 bytes, and is to have`)
})
