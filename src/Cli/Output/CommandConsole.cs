namespace IlgpuLoader.Cli.Output;

/// <summary>Where a command writes, and how much: data to standard output, everything else to standard error.</summary>
/// <param name="Out">Data.</param>
/// <param name="Error">Progress, warnings and errors.</param>
/// <param name="ShowProgress">Whether standard error is a terminal that a progress bar can be drawn on.</param>
internal sealed record CommandConsole(TextWriter Out, TextWriter Error, bool ShowProgress)
{
    /// <summary>Whether data is written as one JSON document.</summary>
    public bool Json { get; init; }

    /// <summary>Whether warnings and progress are left out.</summary>
    public bool Quiet { get; init; }

    /// <summary>Whether more is said: plans, and where errors come from.</summary>
    public bool Verbose { get; init; }

    /// <summary>Writes lines of standard error, also while a progress bar is drawn there; one for all copies of this.</summary>
    public ErrorLines Lines { get; } = new(Error);

    /// <summary>Writes a warning unless the user wants none.</summary>
    public void Warn(string message) => Say($"warning: {message}");

    /// <summary>Writes a line to standard error unless the user wants none.</summary>
    public void Say(string line)
    {
        if (!Quiet)
        {
            Lines.Write(line);
        }
    }
}
