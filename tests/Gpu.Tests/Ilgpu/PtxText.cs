using System.Text.RegularExpressions;

namespace IlgpuLoader.Gpu.Tests;

/// <summary>What can be seen of a kernel in its PTX.</summary>
public sealed partial class PtxText
{
    private readonly List<Instruction> _instructions = [];

    public PtxText(string text)
    {
        Text = text;
        foreach (Match match in Line().Matches(text))
        {
            var operands = Register().Matches(match.Groups["operands"].Value).Select(register => register.Value).ToArray();
            _instructions.Add(new Instruction(match.Groups["guard"].Value, match.Groups["operation"].Value, operands));
        }
    }

    public string Text { get; }

    public IEnumerable<string> Operations => _instructions.Select(instruction => instruction.Operation);

    /// <summary>Bytes of each load from global memory.</summary>
    public IEnumerable<int> GlobalLoads => Operations.Where(operation => operation.StartsWith("ld.global", StringComparison.Ordinal)).Select(BytesOf);

    /// <summary>Bytes of each store to global memory.</summary>
    public IEnumerable<int> GlobalStores => Operations.Where(operation => operation.StartsWith("st.global", StringComparison.Ordinal)).Select(BytesOf);

    /// <summary>Loads and stores that do not say which memory they mean, so that the GPU has to find out for each.</summary>
    public IEnumerable<string> GenericAccesses => Operations.Where(operation => Generic().IsMatch(operation));

    /// <summary>
    /// Sums and differences with a product among their operands, which a driver may make one instruction that does not round the
    /// product, and whatever is such an instruction already.
    /// </summary>
    public IEnumerable<string> FusibleOperations
    {
        get
        {
            var products = _instructions.Where(instruction => FloatProduct().IsMatch(instruction.Operation)).Select(instruction => instruction.Operands[0]).ToHashSet(StringComparer.Ordinal);
            return _instructions
                .Where(instruction => Fused().IsMatch(instruction.Operation)
                    || (FloatSum().IsMatch(instruction.Operation) && instruction.Operands.Skip(1).Any(products.Contains)))
                .Select(instruction => instruction.Operation);
        }
    }

    /// <summary>
    /// Branches said to be the same for all threads whose condition comes from a thread's own number: their outcome is undefined.
    /// </summary>
    public IEnumerable<string> DivergentBranchesSaidUniform
    {
        get
        {
            var ofThread = new HashSet<string> { "%tid.x", "%tid.y", "%tid.z", "%laneid" };
            for (var before = 0; before != ofThread.Count;)
            {
                before = ofThread.Count;
                foreach (var instruction in _instructions)
                {
                    var isStore = instruction.Operation.StartsWith("st.", StringComparison.Ordinal);
                    if (!isStore && instruction.Operands.Length > 1 && instruction.Operands.Skip(1).Append(instruction.Guard).Any(ofThread.Contains))
                    {
                        // A vector load has several results, which also count as its sources: no harm.
                        var results = instruction.Operation.Contains(".v4", StringComparison.Ordinal) ? 4 : instruction.Operation.Contains(".v2", StringComparison.Ordinal) ? 2 : 1;
                        ofThread.UnionWith(instruction.Operands.Take(results));
                    }
                }
            }

            return _instructions
                .Where(instruction => instruction.Operation == "bra.uni" && ofThread.Contains(instruction.Guard))
                .Select(instruction => $"{instruction.Guard} {instruction.Operation}");
        }
    }

    private static int BytesOf(string operation)
    {
        var match = Width().Match(operation);
        return (match.Groups["count"].Success ? int.Parse(match.Groups["count"].Value, null) : 1) * int.Parse(match.Groups["bits"].Value, null) / 8;
    }

    private sealed record Instruction(string Guard, string Operation, string[] Operands);

    [GeneratedRegex(@"^\s*(?:@!?(?<guard>%p\d+)\s+)?(?<operation>[a-z][\w.]*)\b(?<operands>[^;\n]*);", RegexOptions.Multiline | RegexOptions.ExplicitCapture, 1000)]
    private static partial Regex Line();

    [GeneratedRegex(@"%[a-z]+\d*(\.[xyz])?", RegexOptions.ExplicitCapture, 1000)]
    private static partial Regex Register();

    [GeneratedRegex(@"^(ld|st|atom|red)\.(?!(volatile\.)?(global|shared|param|const)\b)", RegexOptions.ExplicitCapture, 1000)]
    private static partial Regex Generic();

    [GeneratedRegex(@"^mul\.(\w+\.)*f(16|32|64)$", RegexOptions.ExplicitCapture, 1000)]
    private static partial Regex FloatProduct();

    [GeneratedRegex(@"^(add|sub)\.(\w+\.)*f(16|32|64)$", RegexOptions.ExplicitCapture, 1000)]
    private static partial Regex FloatSum();

    // mad of integers is no matter: it is exact.
    [GeneratedRegex(@"^(fma\.|mad\.(\w+\.)*f(32|64)$)", RegexOptions.ExplicitCapture, 1000)]
    private static partial Regex Fused();

    [GeneratedRegex(@"(\.v(?<count>\d))?\.[bfsu](?<bits>\d+)$", RegexOptions.ExplicitCapture, 1000)]
    private static partial Regex Width();
}
