// Who is measured: atomicWrite and its rivals, each with what it guarantees. A rival that promises less does
// less work, so every row of the tables says what that is.

import { randomUUID } from 'node:crypto'
import { type FileHandle, open, readFile, rename, unlink, writeFile } from 'node:fs/promises'
import { dirname } from 'node:path'
import { atomicWrite } from '@pipeline/atomic'
import writeFileAtomic from 'write-file-atomic'

export type Data = string | Buffer

export interface Contender {
  name: string
  /** The file's bytes are flushed before it gets its name. */
  fsyncFile: boolean
  /** The new name is flushed before the promise resolves. */
  fsyncDirectory: boolean
  /** The bytes are read back and compared. */
  readBack: boolean
  write(path: string, data: Data): Promise<unknown>
}

export const subject: Contender = {
  name: 'atomicWrite',
  fsyncFile: true,
  fsyncDirectory: true,
  readBack: true,
  write: (path, data) => atomicWrite(path, data),
}

export const rivals: Contender[] = [
  {
    name: 'fs/promises',
    fsyncFile: true,
    fsyncDirectory: true,
    readBack: true,
    write: (path, data) => sameProtocol(path, data, writeAsUsual, readAsUsual),
  },
  {
    name: 'fs/promises, tuned',
    fsyncFile: true,
    fsyncDirectory: true,
    readBack: true,
    write: (path, data) => sameProtocol(path, data, writeAtOnce, readAtOnce),
  },
  {
    name: 'write-file-atomic',
    fsyncFile: true,
    fsyncDirectory: false,
    readBack: false,
    write: (path, data) => writeFileAtomic(path, data, { fsync: true }),
  },
  { name: 'former routine', fsyncFile: false, fsyncDirectory: false, readBack: true, write: formerRoutine },
]

type Write = (handle: FileHandle, bytes: Buffer) => Promise<void>
type Read = (handle: FileHandle, length: number, path: string) => Promise<Buffer>

/** What atomicWrite does, as far as `node:fs/promises` goes: owner, mode and the order of calls are left out. */
async function sameProtocol(path: string, data: Data, write: Write, read: Read): Promise<void> {
  const bytes = typeof data === 'string' ? Buffer.from(data) : data
  const temp = `${path}.${randomUUID()}.tmp`
  const handle = await open(temp, 'wx+')
  try {
    await write(handle, bytes)
    await handle.sync()
    if (!(await read(handle, bytes.length, temp)).equals(bytes)) throw new Error('read back something else')
    await handle.close()
    await rename(temp, path)
  } catch (error) {
    await handle.close()
    await unlink(temp)
    throw error
  }
  const directory = await open(dirname(path), 'r')
  try {
    await directory.sync()
  } finally {
    await directory.close()
  }
}

/** The calls that everybody makes. They work in pieces of 512 KiB, each a turn of the event loop. */
function writeAsUsual(handle: FileHandle, bytes: Buffer): Promise<void> {
  return handle.writeFile(bytes)
}

function readAsUsual(_handle: FileHandle, _length: number, path: string): Promise<Buffer> {
  return readFile(path)
}

/** One call for all bytes where the system takes them at once, and a buffer of the right size. */
async function writeAtOnce(handle: FileHandle, bytes: Buffer): Promise<void> {
  let done = 0
  while (done < bytes.length)
    done += (await handle.write(bytes, done, bytes.length - done, done)).bytesWritten
}

async function readAtOnce(handle: FileHandle, length: number): Promise<Buffer> {
  const back = Buffer.allocUnsafeSlow(length)
  let done = 0
  while (done < length) {
    const { bytesRead } = await handle.read(back, done, length - done, done)
    if (bytesRead === 0) break
    done += bytesRead
  }
  return back.subarray(0, done)
}

/** The publishing pipeline's routine before this package: no flush, and one fixed temp name. */
async function formerRoutine(path: string, data: Data): Promise<void> {
  const temp = `${path}.tmp`
  await writeFile(temp, data)
  const same =
    typeof data === 'string' ? (await readFile(temp, 'utf8')) === data : (await readFile(temp)).equals(data)
  if (!same) throw new Error('read back something else')
  await rename(temp, path)
}
