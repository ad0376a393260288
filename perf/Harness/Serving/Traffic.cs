using System.Collections.Concurrent;
using System.Diagnostics;
using System.Net;

namespace IlgpuLoader.Harness;

/// <summary>
/// Connections that each ask once a period, whatever else happens. What a request takes counts from the moment at which it was due, not from when it was sent: a service that lets one wait
/// makes the next late as well, and both count.
/// </summary>
internal sealed class Traffic : IAsyncDisposable
{
    /// <summary>How many failures are told with their reason.</summary>
    public const int MaximumExamples = 5;

    private readonly HttpClient[] _clients;
    private readonly string[] _paths;
    private readonly TimeSpan _period;
    private readonly ConcurrentQueue<(string Path, long Due, long Answered, bool IsFailed)> _answers = new();
    private readonly ConcurrentQueue<string> _failures = new();
    private readonly Standstills _standstills = new();
    private CancellationTokenSource? _stop;
    private Task _running = Task.CompletedTask;

    /// <summary>Makes connections, which are opened by the first request of each.</summary>
    /// <param name="service">Where the service listens.</param>
    /// <param name="paths">What is asked in turn.</param>
    /// <param name="connections">How many there are.</param>
    /// <param name="period">The time from one request of a connection to its next.</param>
    public Traffic(Uri service, IReadOnlyList<string> paths, int connections, TimeSpan period)
    {
        _paths = [.. paths];
        _period = period;
        // Each has a connection of its own, and keeps it through pauses.
        _clients = [.. Enumerable.Range(0, connections).Select(_ => new HttpClient(new SocketsHttpHandler
        {
            MaxConnectionsPerServer = 1,
            PooledConnectionIdleTimeout = Timeout.InfiniteTimeSpan,
            UseProxy = false,
        })
        {
            BaseAddress = service,
            Timeout = TimeSpan.FromSeconds(TrafficResult.FailedSeconds),
        })];
    }

    /// <summary>What is asked of a service.</summary>
    public static string[] PathsOf(string model) => ["/api/models", $"/api/models/{model}/tensors?limit=100", "/readyz", "/metrics"];

    /// <summary>Opens all connections, with one request each that does not count.</summary>
    /// <exception cref="HttpRequestException">One failed.</exception>
    public Task OpenAsync() => Task.WhenAll(_clients.Select(async (client, i) =>
    {
        using var answer = await client.GetAsync(_paths[i % _paths.Length]);
        await answer.Content.CopyToAsync(Stream.Null);
    }));

    /// <summary>Begins to ask.</summary>
    public void Start()
    {
        _stop = new CancellationTokenSource();
        var (token, begin) = (_stop.Token, Stopwatch.GetTimestamp());
        _running = Task.WhenAll(_clients.Select((client, i) => Task.Run(() => AskOverAndOverAsync(client, i, begin, token), CancellationToken.None)));
    }

    /// <summary>Asks no more, and waits for what is under way.</summary>
    /// <returns>What became of the requests since the start.</returns>
    public async Task<TrafficResult> StopAsync()
    {
        await (_stop?.CancelAsync() ?? Task.CompletedTask);
        await _running;
        _stop?.Dispose();
        _stop = null;
        var seconds = _answers.GroupBy(answer => answer.Path, StringComparer.Ordinal)
            .ToDictionary(group => group.Key, group => group.Select(answer => SecondsOf(answer.Due, answer.Answered, answer.IsFailed)).ToArray(), StringComparer.Ordinal);
        // Without the watch nothing is known of any.
        var undisturbed = _answers.Where(answer => _standstills.IsWatching && !_standstills.Between(answer.Due, answer.Answered))
            .Select(answer => SecondsOf(answer.Due, answer.Answered, answer.IsFailed));
        var result = new TrafficResult(seconds, _failures.Count, [.. _failures.Take(MaximumExamples)], [.. undisturbed]);
        _answers.Clear();
        _failures.Clear();
        _standstills.Clear();
        return result;
    }

    public async ValueTask DisposeAsync()
    {
        await StopAsync();
        _standstills.Dispose();
        foreach (var client in _clients)
        {
            client.Dispose();
        }
    }

    private async Task AskOverAndOverAsync(HttpClient client, int connection, long begin, CancellationToken stop)
    {
        // Spread over the period, as clients are that know nothing of each other.
        var due = begin + (long)(_period.TotalSeconds * Stopwatch.Frequency * connection / _clients.Length);
        for (var n = connection; await UntilAsync(due, stop); n++)
        {
            var path = _paths[n % _paths.Length];
            var failure = await AskAsync(client, path);
            if (failure is not null)
            {
                _failures.Enqueue($"{path}: {failure}");
            }

            _answers.Enqueue((path, due, Stopwatch.GetTimestamp(), failure is not null));
            due += (long)(_period.TotalSeconds * Stopwatch.Frequency);
        }
    }

    private static double SecondsOf(long due, long answered, bool isFailed) => isFailed ? TrafficResult.FailedSeconds : Stopwatch.GetElapsedTime(due, answered).TotalSeconds;

    private static async Task<bool> UntilAsync(long due, CancellationToken stop)
    {
        try
        {
            // A timer knows milliseconds, and comes a little before its time.
            while (due - Stopwatch.GetTimestamp() is > 0 and var ticks)
            {
                await Task.Delay(TimeSpan.FromMilliseconds(Math.Ceiling(ticks * 1e3 / Stopwatch.Frequency)), stop);
            }

            return !stop.IsCancellationRequested;
        }
        catch (OperationCanceledException)
        {
            return false;
        }
    }

    // Not stopped in the middle: every request that was sent is counted.
    private static async Task<string?> AskAsync(HttpClient client, string path)
    {
        try
        {
            using var answer = await client.GetAsync(path);
            var content = await answer.Content.ReadAsByteArrayAsync();
            // Not ready is an answer.
            var isExpected = answer.StatusCode == HttpStatusCode.OK || (path == "/readyz" && answer.StatusCode == HttpStatusCode.ServiceUnavailable);
            return !isExpected ? $"status {(int)answer.StatusCode}" : content.Length == 0 ? "an empty answer" : null;
        }
        catch (Exception exception) when (exception is HttpRequestException or OperationCanceledException or IOException)
        {
            return exception.Message;
        }
    }
}
