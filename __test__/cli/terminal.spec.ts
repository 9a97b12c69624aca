// The program in a real terminal: tmux draws it, and tells what is on its screen.

import { execFileSync } from 'node:child_process'
import { createWriteStream } from 'node:fs'
import { basename, join } from 'node:path'
import { expect, onTestFinished } from 'vitest'
import { names } from '../helpers/files'
import { needs } from '../helpers/needs'
import { program, until } from './support'

/** A shell in a terminal of 80 columns. */
function terminal(dir: string, env: string[] = []) {
  const socket = basename(dir)
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
    const { type, key, screen, coloured } = terminal(dir, [`A=${program()}`])
    execFileSync('mkfifo', [join(dir, 'pipe')])
    type('atomic write big <pipe')
    key('Enter')
    // A producer that is slow enough for somebody to wait for it.
    const producer = createWriteStream(join(dir, 'pipe'))
    const feed = setInterval(() => producer.write(Buffer.alloc(10_000)), 20)
    await until(() => /writing \d+ KiB/.test(screen()))
    clearInterval(feed)
    producer.end()
    await until(() => screen().includes('wrote big'))
    expect(screen()).not.toContain('writing')
    expect(coloured()).toContain('\x1b[32mwrote\x1b[39m big')

    type('clear; atomic bench . --time 60s')
    key('Enter')
    await until(() => /measuring █*░+ [\d.]+ s of 60\.0 s/.test(screen()))
    key('C-c')
    await until(() => names(dir).every((name) => !name.includes('bench')))
    type('echo over $?')
    key('Enter')
    await until(() => /^over/m.test(screen()))
    expect(screen()).not.toContain('measuring')

    type('clear; NO_COLOR=1 atomic selftest . | cat')
    key('Enter')
    await until(() => /time of a flush/.test(screen()))
    expect(coloured()).not.toContain('\x1b[3')
  },
)
