/**
 * A class of your own that several processes use at the same time: there is one object of it, in the manager's process.
 *
 *     npx tsx examples/manager_custom.ts
 */
import 'multiprocessing/forkable';
import * as mp from 'multiprocessing';
import { BaseManager, type Creator, type Proxied } from 'multiprocessing/managers';

/** Methods run one at a time, each to its first await: what they do before that is done at once for all. */
export class Account {
  #balance: number;
  readonly #waiting: { amount: number; go: () => void }[] = [];

  constructor(balance = 0) {
    this.#balance = balance;
  }

  deposit(amount: number): number {
    this.#balance += amount;
    for (let first = this.#waiting[0]; first; first = this.#waiting[0]) {
      if (first.amount > this.#balance) break;
      this.#waiting.shift();
      this.#balance -= first.amount;
      first.go();
    }
    return this.#balance;
  }

  /** Waits until there is enough. Nobody else waits with it. */
  async withdraw(amount: number): Promise<number> {
    if (amount > this.#balance) await new Promise<void>((go) => this.#waiting.push({ amount, go }));
    else this.#balance -= amount;
    return this.#balance;
  }

  balance(): number {
    return this.#balance;
  }
}

export class Bank extends BaseManager {
  declare Account: Creator<typeof Account>;
}
Bank.register('Account', Account);

export async function pay(account: Proxied<Account>): Promise<void> {
  for (let i = 0; i < 10; i++) await account.deposit(10);
}

if (mp.isMain(import.meta)) {
  await using bank = await new Bank().start();
  const account = await bank.Account(5);
  const withdrawn = account.withdraw(50); // waits for the others
  const payers = [1, 2].map(() => new mp.Process({ target: pay, args: [account] }));
  for (const p of payers) await p.start();
  await withdrawn;
  console.log('50 were there to withdraw');
  for (const p of payers) await p.join();
  console.log('at the end:', account.balanceSync());
  await account.deposit('much' as unknown as number);
  console.log('nobody checked:', await account.balance());
}
