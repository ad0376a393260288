namespace IlgpuLoader.Cli.Tests;

/// <summary>
/// Commands run one after the other in one folder with the files of <see cref="GoldenInputs"/>, and the golden file that
/// holds what they wrote and ended with.
/// </summary>
/// <param name="Name">The golden file's path below the folder of golden files, without its extension.</param>
/// <param name="Commands">
/// Command lines of the tool without its name, words separated by one space; {tmp} stands for the folder and {samples} for
/// the repository's samples. <c>cat FILE</c> and <c>ls FOLDER</c> show what a command has written.
/// </param>
internal sealed record GoldenCase(string Name, params string[] Commands)
{
    /// <summary>What is replaced in the output, beside what always is, as this case depends on the machine in other ways too.</summary>
    public IReadOnlyList<ScrubbingRule> Rules { get; init; } = [];

    /// <summary>The case where each command is run as it is, and then with --json.</summary>
    public static GoldenCase InBothForms(string name, params string[] commands) =>
        new(name, [.. commands.SelectMany(command => new[] { command, $"{command} --json".TrimStart() })]);
}
