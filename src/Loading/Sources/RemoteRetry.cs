using Microsoft.Extensions.Logging.Abstractions;
using Polly;
using Polly.Retry;

namespace IlgpuLoader.Loading;

/// <summary>How requests are tried again.</summary>
internal static class RemoteRetry
{
    /// <summary>The wait before the first retry, which doubles with each; huggingface_hub begins with 1 s and waits 8 s at most.</summary>
    public static readonly TimeSpan FirstDelay = TimeSpan.FromSeconds(0.5);

    /// <summary>The longest wait that nobody has asked for.</summary>
    public static readonly TimeSpan MaximumDelay = TimeSpan.FromSeconds(8);

    /// <summary>The longest wait that a server can ask for (<c>Retry-After</c>): the Hub counts requests in windows of 5 minutes.</summary>
    public static readonly TimeSpan MaximumServerDelay = TimeSpan.FromMinutes(5);

    /// <summary>Makes what runs an attempt again while its result says so, and writes that it does.</summary>
    /// <typeparam name="T">The result of an attempt.</typeparam>
    /// <param name="options">How often, and where it is written.</param>
    /// <param name="time">The clock of the waits.</param>
    /// <param name="isTransient">Whether an attempt with this result is made again. Attempts throw only what ends them all.</param>
    /// <param name="describe">What an attempt asked, without secrets, and what was wrong with the answer.</param>
    /// <param name="serverDelay">The wait that a result asks for; null for none.</param>
    public static ResiliencePipeline<T> Create<T>(RemoteOptions options, TimeProvider time, Func<T, bool> isTransient, Func<T, (string Name, string Problem)> describe, Func<T, TimeSpan?>? serverDelay = null)
    {
        if (options.MaximumRetries <= 0)
        {
            return ResiliencePipeline<T>.Empty;
        }

        var logger = options.Logger ?? NullLogger.Instance;
        return new ResiliencePipelineBuilder<T> { TimeProvider = time }
            .AddRetry(new RetryStrategyOptions<T>
            {
                ShouldHandle = outcome => new ValueTask<bool>(outcome.Outcome.Exception is null && isTransient(outcome.Outcome.Result!)),
                BackoffType = DelayBackoffType.Exponential,
                UseJitter = true,
                Delay = FirstDelay,
                MaxDelay = MaximumDelay,
                MaxRetryAttempts = options.MaximumRetries,
                OnRetry = again =>
                {
                    var (name, problem) = describe(again.Outcome.Result!);
                    RemoteLog.TriedAgain(logger, name, problem, again.RetryDelay, again.AttemptNumber + 1, options.MaximumRetries);
                    return default;
                },
                DelayGenerator = serverDelay is null ? null : next => new ValueTask<TimeSpan?>(Limit(serverDelay(next.Outcome.Result!))),
            })
            .Build();
    }

    private static TimeSpan? Limit(TimeSpan? delay) => delay is { } asked ? TimeSpan.FromTicks(Math.Clamp(asked.Ticks, 0, MaximumServerDelay.Ticks)) : null;
}
