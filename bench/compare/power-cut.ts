// A power cut: what the kernel has not yet handed to the drive is gone.

import { open } from 'node:fs/promises'
import { join } from 'node:path'
import { setTimeout as sleep } from 'node:timers/promises'
import { Disk, type FileSystem, usableFileSystems } from './disk'
import { examine } from './published'
import { type Row, Tally } from './row'
import { Worker } from './worker'

let usable: FileSystem[] = []

export const powerCut: Row = {
  when: 'power cut',
  method:
    'A process replaces an index of 1 MB and adds a file of 16 KB, again and again, on ext4 and on xfs (where there is ' +
    'mkfs.xfs), mounted with default options, while another program flushes a file of its own now and then. At a ' +
    'random moment the process is stopped, and what the drive has got so far is copied, mounted and read. Torn: a ' +
    'file is empty or not whole. Lost: a write whose promise had resolved is not there. The cache of the drive itself ' +
    'is taken to survive, so a real power cut can only be worse.',
  needs(folder) {
    usable = usableFileSystems(folder)
    return usable.length === 0 ? 'root on Linux' : undefined
  },
  async look(contender, { folder, quick }) {
    const tally = new Tally()
    for (const fileSystem of usable) {
      const disk = new Disk(folder, fileSystem)
      try {
        await cutAgainAndAgain(contender, disk, quick ? 3 : 20, tally)
      } finally {
        disk.remove()
      }
    }
    return tally.cell
  },
}

async function cutAgainAndAgain(contender: string, disk: Disk, cuts: number, tally: Tally): Promise<void> {
  const worker = await Worker.start(contender)
  const neighbour = new Neighbour(join(disk.folder, 'neighbour.log'))
  try {
    await worker.begin('publish', { folder: join(disk.folder, 'site') })
    for (let cut = 0; cut < cuts; cut++) {
      await sleep(5 + Math.random() * 40)
      await worker.freeze()
      await neighbour.pause()
      disk.cut((after) => tally.add(lossesIn(join(after, 'site'), worker)))
      neighbour.resume()
      worker.thaw()
    }
  } finally {
    await worker.kill()
    await neighbour.end()
  }
}

function lossesIn(folder: string, { acknowledged }: Worker) {
  const { torn, lost } = examine(folder, acknowledged)
  return { torn, lost }
}

/** Any other program on the disk. */
class Neighbour {
  private paused = false
  private ended = false
  private flushing: Promise<unknown> = Promise.resolve()
  private readonly running: Promise<void>

  constructor(path: string) {
    this.running = this.run(path)
  }

  async pause(): Promise<void> {
    this.paused = true
    await this.flushing
  }

  resume(): void {
    this.paused = false
  }

  async end(): Promise<void> {
    this.ended = true
    await this.running
  }

  private async run(path: string): Promise<void> {
    const file = await open(path, 'a')
    while (!this.ended) {
      await sleep(10 + Math.random() * 50)
      if (this.paused) continue
      this.flushing = file.appendFile('a line\n').then(() => file.sync())
      await this.flushing
    }
    await file.close()
  }
}
