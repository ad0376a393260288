using System.Collections.Concurrent;
using Microsoft.Extensions.Logging;

namespace IlgpuLoader.Loading.Tests;

/// <summary>Every warning that is logged, as often as it is.</summary>
public sealed class RecordedWarnings : ILogger
{
    private readonly ConcurrentQueue<string> _texts = new();

    public IReadOnlyList<string> Texts => [.. _texts];

    /// <summary>A log that is recorded here.</summary>
    public WarningLog ToLog() => new(this);

    public IDisposable? BeginScope<TState>(TState state)
        where TState : notnull => null;

    public bool IsEnabled(LogLevel logLevel) => true;

    public void Log<TState>(LogLevel logLevel, EventId eventId, TState state, Exception? exception, Func<TState, Exception?, string> formatter)
    {
        if (logLevel == LogLevel.Warning)
        {
            _texts.Enqueue(formatter(state, exception));
        }
    }
}
