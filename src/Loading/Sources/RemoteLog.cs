using Microsoft.Extensions.Logging;

namespace IlgpuLoader.Loading;

/// <summary>What requests write, whatever they are for.</summary>
internal static partial class RemoteLog
{
    // Whoever looks at a progress bar that stands wonders by then.
    private static readonly TimeSpan LongWait = TimeSpan.FromSeconds(5);

    /// <summary>That something is asked for once more, after a wait: a warning where that is long.</summary>
    /// <param name="logger">Where it is written.</param>
    /// <param name="name">What is asked for, without secrets.</param>
    /// <param name="problem">What was wrong with the last answer.</param>
    /// <param name="delay">The wait.</param>
    /// <param name="retry">Which retry it is, from 1 on.</param>
    /// <param name="retries">How many there are at most.</param>
    public static void TriedAgain(ILogger logger, string name, string problem, TimeSpan delay, int retry, int retries)
    {
        var sentence = problem.TrimEnd('.');
        TriedAgain(logger, delay >= LongWait ? LogLevel.Warning : LogLevel.Information, name, sentence, delay.TotalSeconds, retry, retries);
    }

    /// <summary>That nobody would notice if a file were replaced by one of the same length while it is read.</summary>
    /// <param name="logger">Where it is written.</param>
    /// <param name="name">The file.</param>
    [LoggerMessage(EventId = 1151, EventName = nameof(NotPinned), Level = LogLevel.Warning, Message = "{Name}: its server gives neither an ETag nor the time of the last change, so that only its length tells whether it stays the same while it is read")]
    public static partial void NotPinned(ILogger logger, string name);

    [LoggerMessage(EventId = 1150, EventName = nameof(TriedAgain), Message = "{Name}: {Problem}; tried again in {Seconds:0.0} s ({Retry} of {Retries})")]
    private static partial void TriedAgain(ILogger logger, LogLevel level, string name, string problem, double seconds, int retry, int retries);
}
