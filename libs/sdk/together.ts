interface Entry<Request, Answer> {
  readonly request: Request;
  readonly resolve: (answer: Answer) => void;
  readonly reject: (error: unknown) => void;
}

/** What is asked in one tick as one call with many items, at most `most` of them: a call costs more than most items. */
export class Together<Request, Answer> {
  readonly #all: (requests: Request[]) => Promise<readonly Answer[]>;
  readonly #most: number;
  #waiting: Entry<Request, Answer>[] = [];

  /** `all` answers each request in its place. */
  constructor(all: (requests: Request[]) => Promise<readonly Answer[]>, most: number) {
    this.#all = all;
    this.#most = most;
  }

  call(request: Request): Promise<Answer> {
    return new Promise((resolve, reject) => {
      if (this.#waiting.push({ request, resolve, reject }) === 1) queueMicrotask(() => this.#flush());
    });
  }

  #flush(): void {
    const waiting = this.#waiting;
    this.#waiting = [];
    for (let i = 0; i < waiting.length; i += this.#most) void this.#send(waiting.slice(i, i + this.#most));
  }

  async #send(entries: readonly Entry<Request, Answer>[]): Promise<void> {
    try {
      const answers = await this.#all(entries.map(({ request }) => request));
      for (const [i, { resolve }] of entries.entries()) resolve(answers[i] as Answer);
    } catch (error) {
      for (const { reject } of entries) reject(error);
    }
  }
}
