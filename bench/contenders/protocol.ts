// The guarantees of atomicWrite by `node:fs/promises`, without owner, mode and the order of calls.

import { randomUUID } from 'node:crypto'
import { type FileHandle, open, readFile, rename, unlink } from 'node:fs/promises'
import { dirname } from 'node:path'

type Data = string | Buffer
type Write = (handle: FileHandle, bytes: Buffer) => Promise<void>
type Read = (handle: FileHandle, length: number, path: string) => Promise<Buffer>

/** With the usual calls: handle.writeFile and readFile work in pieces of 512 KiB, each in a turn of the event loop. */
export function writeAsUsual(path: string, data: Data): Promise<void> {
  return sameProtocol(
    path,
    data,
    (handle, bytes) => handle.writeFile(bytes),
    (_handle, _length, temp) => readFile(temp),
  )
}

/** With one call for all bytes (where the system accepts them at once) and a buffer of the right size. */
export function writeTuned(path: string, data: Data): Promise<void> {
  return sameProtocol(path, data, writeAtOnce, readAtOnce)
}

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
