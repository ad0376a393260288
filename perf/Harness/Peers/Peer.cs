using System.ComponentModel;
using System.Diagnostics;
using System.Globalization;
using IlgpuLoader.Loading;

namespace IlgpuLoader.Harness;

/// <summary>
/// Another program that loads files, in a process of its own that stays for all rounds (perf/peers/peer.py has the line protocol): its
/// start, and imports that take seconds, are not what is compared.
/// </summary>
internal sealed class Peer : IDisposable
{
    private const string Ready = "ready ";
    private const string Skip = "skip ";

    private readonly Process? _process;

    private Peer(string name, Process? process, string? missing)
    {
        Name = name;
        _process = process;
        Missing = missing;
    }

    /// <summary>What it is called in reports.</summary>
    public string Name { get; }

    /// <summary>Why it is not there; null where it is.</summary>
    public string? Missing { get; }

    /// <summary>Starts a script.</summary>
    /// <param name="name">What it is called in reports.</param>
    /// <param name="python">The interpreter.</param>
    /// <param name="arguments">The script and its arguments.</param>
    public static Peer Start(string name, string python, params string[] arguments)
    {
        if (!File.Exists(python))
        {
            return new Peer(name, null, $"there is no {python}");
        }

        Process process;
        try
        {
            process = Process.Start(new ProcessStartInfo(python, arguments)
            {
                RedirectStandardInput = true,
                RedirectStandardOutput = true,
                UseShellExecute = false,
            })!;
        }
        catch (Win32Exception exception)
        {
            return new Peer(name, null, $"{python}: {exception.Message}");
        }

        var line = process.StandardOutput.ReadLine();
        if (line is not null && line.StartsWith(Ready, StringComparison.Ordinal))
        {
            return new Peer($"{name}, {line[Ready.Length..]}", process, null);
        }

        End(process);
        return new Peer(
            name, null, line is not null && line.StartsWith(Skip, StringComparison.Ordinal) ? line[Skip.Length..] : $"it did not start and said: {line}");
    }

    /// <summary>Tries a file once, which is not counted, and gives what the measurement is held against.</summary>
    /// <param name="path">The file.</param>
    /// <param name="target">The least ratio that is aimed at.</param>
    public Contestant Loading(string path, double? target = null)
    {
        if (Missing is null && !TryLoad(path, out _, out var reason))
        {
            return Contestant.Missing(Name, MeasuredAgainst.Peer, reason);
        }

        return Missing is { } missing
            ? Contestant.Missing(Name, MeasuredAgainst.Peer, missing)
            : new Contestant(Name, MeasuredAgainst.Peer, _ => Task.FromResult(Load(path))) { Target = target };
    }

    /// <summary>Loads a file once.</summary>
    /// <returns>The seconds it took.</returns>
    /// <exception cref="InvalidOperationException">It failed; the message says why.</exception>
    public double Load(string path) =>
        TryLoad(path, out var seconds, out var reason) ? seconds : throw new InvalidOperationException($"{Name} failed with {path}: {reason}");

    /// <summary>Ends the process.</summary>
    public void Dispose()
    {
        if (_process is not null)
        {
            End(_process);
        }
    }

    // The end of its input is the end of a script.
    private static void End(Process process)
    {
        process.StandardInput.Close();
        process.WaitForExit();
        process.Dispose();
    }

    private bool TryLoad(string path, out double seconds, out string reason)
    {
        _process!.StandardInput.WriteLine(path);
        _process.StandardInput.Flush();
        var line = _process.StandardOutput.ReadLine();
        reason = line is null ? "it ended" : line.StartsWith(Skip, StringComparison.Ordinal) ? line[Skip.Length..] : $"it said: {line}";
        return double.TryParse(line, NumberStyles.Float, CultureInfo.InvariantCulture, out seconds);
    }
}
