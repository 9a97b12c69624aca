// The program in a real terminal: tmux draws it, and tells what is on its screen.

import { execFileSync } from 'node:child_process'
import { createWriteStream } from 'node:fs'
import { basename, join } from 'node:path'
import { expect, onTestFinished } from 'vitest'
import { names } from '../helpers/files'
import { needs } from '../helpers/needs'
import { program, until } from './support'

let terminals = 0

/** A shell in a terminal of 80 columns. */
function terminal(dir: string, env: string[]) {
  const socket = `${basename(dir)}-${++terminals}`
  const tmux = (...args: string[]) =>
    execFileSync('tmux', ['-L', socket, '-f', '/dev/null', ...args], {
      encoding: 'utf8',
      stdio: ['ignore', 'pipe', 'pipe'],
    })
  const sh = ['env', '-u', 'NO_COLOR', '-u', 'FORCE_COLOR', '-u', 'CI', 'PS1=$ ', ...env, 'sh']
  tmux('new-session', '-d', '-x', '80', '-y', '24', '-c', dir, ...sh)
  onTestFinished(() => {
    tmux('kill-server')
  })
  return {
    type: (line: string) =>
      tmux('send-keys', '-l', line.replace('atomic', `${process.execPath} "$A"`)) && undefined,
    key: (name: string) => void tmux('send-keys', name),
    screen: () => tmux('capture-pane', '-p'),
    coloured: () => tmux('capture-pane', '-p', '-e'),
  }
}

needs('tmux')(
  'a terminal has colours, and progress that is gone at the end or at Ctrl-C',
  async ({ dir }) => {
    const open = () => terminal(dir, [`A=${program()}`])
    const [writing, measuring, plain] = [open(), open(), open()]
    const screens = () => [writing, measuring, plain].map(({ screen }) => screen().trimEnd()).join('\n---\n')
    const appears = (isSo: () => boolean) => until(isSo, screens)
    const enter = ({ type, key }: ReturnType<typeof open>, line: string) => {
      type(line)
      key('Enter')
    }
    execFileSync('mkfifo', [join(dir, 'pipe')])
    enter(writing, 'atomic write big <pipe')
    enter(measuring, 'atomic bench . --time 60s')
    enter(plain, 'NO_COLOR=1 atomic selftest . | cat')
    // A producer that is slow enough for somebody to wait for it.
    const producer = createWriteStream(join(dir, 'pipe'))
    const feed = setInterval(() => producer.write(Buffer.alloc(10_000)), 20)
    // More waits in the pipe for a program that is slow to start.
    await appears(() => /writing [\d.]+ [KM]iB/.test(writing.screen()))
    clearInterval(feed)
    producer.end()
    await appears(() => writing.screen().includes('wrote big'))
    expect(writing.screen()).not.toContain('writing')
    expect(writing.coloured()).toContain('\x1b[32mwrote\x1b[39m big')

    await appears(() => /measuring █*░+ [\d.]+ s of 60\.0 s/.test(measuring.screen()))
    measuring.key('C-c')
    await appears(() => names(dir).every((name) => !name.includes('bench')))
    // What is typed before the shell asks for it would be shown in the line of the progress, and removed with that.
    await appears(() => /\n\$$/.test(measuring.screen().trimEnd()))
    enter(measuring, 'echo over $?')
    await appears(() => /^over 130$/m.test(measuring.screen()))
    expect(measuring.screen()).not.toContain('measuring')

    await appears(() => /time of a flush/.test(plain.screen()))
    expect(plain.coloured()).not.toContain('\x1b[3')
  },
)
