using System.Collections.Concurrent;
using Microsoft.Extensions.Logging;

namespace IlgpuLoader.Hosting.Tests;

/// <summary>Keeps what is logged, at every level. Safe for any thread.</summary>
internal sealed class RecordedLogs : ILoggerProvider, ILogger
{
    private readonly ConcurrentQueue<Entry> _entries = [];

    public IReadOnlyList<Entry> Entries => [.. _entries];

    public ILogger CreateLogger(string categoryName) => this;

    public IDisposable? BeginScope<TState>(TState state)
        where TState : notnull => null;

    public bool IsEnabled(LogLevel logLevel) => true;

    public void Log<TState>(LogLevel logLevel, EventId eventId, TState state, Exception? exception, Func<TState, Exception?, string> formatter) =>
        _entries.Enqueue(new Entry(logLevel, eventId.Name ?? "", formatter(state, exception), exception));

    public void Dispose()
    {
    }

    /// <summary>One log.</summary>
    internal sealed record Entry(LogLevel Level, string Event, string Text, Exception? Exception);
}
