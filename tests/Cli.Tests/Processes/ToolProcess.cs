using System.ComponentModel;
using System.Diagnostics;
using System.Globalization;
using System.Runtime.InteropServices;

namespace IlgpuLoader.Cli.Tests;

/// <summary>The tool as a process of its own; ended when disposed, whatever it was doing.</summary>
internal sealed partial class ToolProcess : IDisposable
{
    private static readonly string Executable =
        Path.Combine(AppContext.BaseDirectory, OperatingSystem.IsWindows() ? "ilgpu-loader.exe" : "ilgpu-loader");

    private readonly Process _process;
    private bool _readerGone;

    private ToolProcess(string file, IEnumerable<string> args)
    {
        _process = Process.Start(new ProcessStartInfo(file, args)
        {
            UseShellExecute = false,
            RedirectStandardInput = true,
            RedirectStandardOutput = true,
            RedirectStandardError = true,
        })!;
    }

    /// <summary>Standard output.</summary>
    public StreamReader Out => _process.StandardOutput;

    /// <summary>Standard error.</summary>
    public StreamReader Error => _process.StandardError;

    /// <summary>Starts a command line.</summary>
    public static ToolProcess Start(params string[] args) => new(Executable, args);

    /// <summary>Starts a command line with variables such as <c>DOTNET_GCHeapHardLimit=0x8000000</c>.</summary>
    public static ToolProcess StartWith(string[] environment, params string[] args) => new("/usr/bin/env", [.. environment, Executable, .. args]);

    /// <summary>Starts a command line with what the shell makes of a redirection such as <c>&gt; /dev/full</c>.</summary>
    public static ToolProcess StartInShell(string redirection, params string[] args) =>
        new("/bin/sh", ["-c", $"exec \"$0\" \"$@\" {redirection}", Executable, .. args]);

    /// <summary>Starts a command line in a terminal; all that the terminal shows is in <see cref="Out"/>.</summary>
    public static ToolProcess StartInTerminal(string[] environment, params string[] args) =>
        new("/usr/bin/env", [.. environment, "/usr/bin/script", "-qefc", string.Join(' ', [Executable, .. args]), "/dev/null"]);

    /// <summary>Types a character into the terminal.</summary>
    public async Task TypeAsync(char character)
    {
        try
        {
            await _process.StandardInput.WriteAsync(character);
            await _process.StandardInput.FlushAsync();
        }
        catch (IOException)
        {
            // The terminal has ended with the tool in it.
        }
    }

    /// <summary>Closes the reading end of standard output, as <c>head</c> does when it has seen enough.</summary>
    public void CloseOut()
    {
        Out.Close();
        _readerGone = true;
    }

    /// <summary>Sends the signal that Ctrl-C sends.</summary>
    public void Interrupt() => Signal(2);

    /// <summary>Sends the signal that a service manager sends.</summary>
    public void Terminate() => Signal(15);

    /// <summary>Waits until something is so, and fails where it does not come or the process ends before.</summary>
    public async Task UntilAsync(Func<bool> condition)
    {
        var started = Stopwatch.GetTimestamp();
        while (!condition())
        {
            if (_process.HasExited || Stopwatch.GetElapsedTime(started) > TimeSpan.FromSeconds(60))
            {
                throw new TimeoutException($"What was waited for did not come; the tool {(_process.HasExited ? "has ended" : "still runs")}.");
            }

            await Task.Delay(10);
        }
    }

    /// <summary>Whether the process has a handler for Ctrl-C by now: signal 2 is bit 1 of the caught ones.</summary>
    public bool CatchesInterrupts()
    {
        const string field = "SigCgt:";
        var line = File.ReadLines($"/proc/{_process.Id}/status").First(line => line.StartsWith(field, StringComparison.Ordinal));
        return (ulong.Parse(line.AsSpan(field.Length).Trim(), NumberStyles.HexNumber, CultureInfo.InvariantCulture) & 2) != 0;
    }

    /// <summary>
    /// How many bytes the process has written so far, to files and streams together; what it writes has no name that could
    /// be looked at. 0 when it has ended.
    /// </summary>
    public long WrittenBytes()
    {
        const string field = "wchar: ";
        try
        {
            var line = File.ReadLines($"/proc/{_process.Id}/io").FirstOrDefault(line => line.StartsWith(field, StringComparison.Ordinal));
            return line is null ? 0 : long.Parse(line.AsSpan(field.Length), CultureInfo.InvariantCulture);
        }
        catch (Exception exception) when (exception is IOException or UnauthorizedAccessException)
        {
            // The process has ended, and its folder went with it.
            return 0;
        }
    }

    /// <summary>Ends the process in the middle of whatever it does, without a chance to clean up.</summary>
    /// <returns>Whether it was still running.</returns>
    public bool KillNow()
    {
        var runs = Kill(_process.Id, 9) == 0;
        _process.WaitForExit();
        return runs && _process.ExitCode == 128 + 9;
    }

    /// <summary>Whether the process has ended.</summary>
    public bool HasEnded => _process.HasExited;

    /// <summary>Whether the process ends within a time.</summary>
    public async Task<bool> EndsWithinAsync(TimeSpan time)
    {
        using var deadline = new CancellationTokenSource(time);
        try
        {
            await _process.WaitForExitAsync(deadline.Token);
            return true;
        }
        catch (OperationCanceledException)
        {
            return false;
        }
    }

    /// <summary>What it wrote and ended with; fails where it does not end within the time.</summary>
    public async Task<ToolRun> EndAsync(TimeSpan time)
    {
        using var deadline = new CancellationTokenSource(time);
        var output = _readerGone ? Task.FromResult("") : Out.ReadToEndAsync(deadline.Token);
        var error = Error.ReadToEndAsync(deadline.Token);
        await _process.WaitForExitAsync(deadline.Token);
        return new ToolRun(_process.ExitCode, await output, await error);
    }

    public void Dispose()
    {
        if (!_process.HasExited)
        {
            _process.Kill();
            _process.WaitForExit();
        }

        _process.Dispose();
    }

    private void Signal(int number)
    {
        if (Kill(_process.Id, number) != 0)
        {
            throw new Win32Exception(Marshal.GetLastPInvokeError());
        }
    }

    [LibraryImport("libc", EntryPoint = "kill", SetLastError = true)]
    private static partial int Kill(int process, int signal);
}
