using System.Text.RegularExpressions;

namespace IlgpuLoader.Cli.Tests;

/// <summary>A part of the output that differs from machine to machine or from run to run, and what stands for it in golden files.</summary>
/// <param name="Pattern">Finds it, with as much around it as keeps it from finding anything else; the group named v is what is replaced.</param>
/// <param name="Placeholder">What is put there.</param>
internal sealed record ScrubbingRule(string Pattern, string Placeholder)
{
    private readonly Regex _pattern = new(Pattern, RegexOptions.Multiline | RegexOptions.ExplicitCapture, TimeSpan.FromSeconds(10));

    /// <summary>The text with the placeholder.</summary>
    public string Apply(string text) => _pattern.Replace(text, match =>
    {
        var value = match.Groups["v"];
        var start = value.Index - match.Index;
        return match.Value[..start] + Placeholder + match.Value[(start + value.Length)..];
    });
}
