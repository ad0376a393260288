using System.Reflection;
using System.Text.RegularExpressions;
using Xunit;

namespace IlgpuLoader.Hosting.Tests;

/// <summary>What the page's files say, wherever there is no browser to hold them against the policy.</summary>
[Trait("Area", "Page")]
public sealed partial class PageFileTests
{
    private static readonly Assembly Hosting = typeof(IModelStore).Assembly;

    private static readonly string[] Names = [.. Hosting.GetManifestResourceNames().Where(name => name.StartsWith("page/", StringComparison.Ordinal))];

    public static TheoryData<string> Files => new(Names);

    [Fact]
    public void Page_EveryFileThatOneNames_IsCompiledIn()
    {
        var named = new HashSet<string>(StringComparer.Ordinal);
        foreach (var file in Names)
        {
            var folder = file == "page/index.html" ? "" : "page/";
            named.UnionWith(Reference().Matches(Read(file)).Select(match => folder + match.Groups["path"].Value.Replace("./", "", StringComparison.Ordinal)));
        }

        Assert.Contains("page/main.js", named);
        // The page itself is named by nobody, and nothing lies there unused.
        Assert.Equal(Names.Where(file => file != "page/index.html").Order(StringComparer.Ordinal), named.Order(StringComparer.Ordinal));
    }

    [Theory]
    [MemberData(nameof(Files))]
    public void Page_File_NamesNoOtherHost(string file)
    {
        var addresses = Address().Matches(Read(file)).Select(match => match.Value).Where(address =>
            // A namespace is a name, and comments say where a pattern comes from; neither is fetched.
            address is not "http://www.w3.org/2000/svg" and not "https://www.w3.org/WAI/ARIA/apg/patterns/treeview/"
                and not "https://html.spec.whatwg.org/multipage/server-sent-events.html");

        Assert.Empty(addresses);
    }

    [Theory]
    [MemberData(nameof(Files))]
    public void Page_File_MakesNoMarkupOrCodeOfText(string file) =>
        Assert.DoesNotMatch(@"innerHTML|outerHTML|insertAdjacentHTML|document\.write|\beval\(|new Function|srcdoc|DOMParser|createContextualFragment", Read(file));

    [Fact]
    public void Page_Index_HasNeitherStyleNorScriptOfItsOwn() =>
        Assert.DoesNotMatch(@"\sstyle=|\son\w+=|<style|<script(?![^>]*\ssrc=)|javascript:", Read("page/index.html"));

    // Else the browser finds out file by file what it needs next: five times there and back.
    [Fact]
    public void Page_Index_PreloadsEveryModule() => Assert.Equal(
        Names.Where(name => name.EndsWith(".js", StringComparison.Ordinal) && name != "page/main.js").Order(StringComparer.Ordinal),
        Preload().Matches(Read("page/index.html")).Select(match => match.Groups["path"].Value).Order(StringComparer.Ordinal));

    private static string Read(string name)
    {
        using var reader = new StreamReader(Hosting.GetManifestResourceStream(name)!);
        return reader.ReadToEnd();
    }

    [GeneratedRegex("""(?:href|src)="(?<path>page/[^"]+)"|from '(?<path>\./[^']+)'""", RegexOptions.ExplicitCapture, matchTimeoutMilliseconds: 10_000)]
    private static partial Regex Reference();

    [GeneratedRegex("""rel="modulepreload" href="(?<path>[^">]+)(?=">)""", RegexOptions.ExplicitCapture, matchTimeoutMilliseconds: 10_000)]
    private static partial Regex Preload();

    [GeneratedRegex("""(?:https?:)?//[a-z0-9][a-z0-9.-]*\.[a-z]{2,}[^\s"')]*""", RegexOptions.IgnoreCase | RegexOptions.ExplicitCapture, matchTimeoutMilliseconds: 10_000)]
    private static partial Regex Address();
}
