using System.Collections.Concurrent;
using Microsoft.Extensions.Logging;

namespace IlgpuLoader.Loading.Tests;

/// <summary>All that is logged, with the names of the events.</summary>
public sealed class RecordedLog : ILogger
{
    private readonly ConcurrentQueue<(LogLevel Level, string? Event, string Text)> _entries = new();

    public IReadOnlyList<string?> Events => [.. _entries.Select(entry => entry.Event)];

    public IReadOnlyList<LogLevel> Levels => [.. _entries.Select(entry => entry.Level)];

    public string Text => string.Join('\n', _entries.Select(entry => entry.Text));

    public IDisposable? BeginScope<TState>(TState state)
        where TState : notnull => null;

    public bool IsEnabled(LogLevel logLevel) => true;

    public void Log<TState>(LogLevel logLevel, EventId eventId, TState state, Exception? exception, Func<TState, Exception?, string> formatter) =>
        _entries.Enqueue((logLevel, eventId.Name, formatter(state, exception)));
}
